// Results of system-level work: a value, or what failed and why.
//
// Exceptions are off in all native code. A step is named in the words of the kernel or of the OCI specification
// ("pivot_root", "mount /proc"), because that name reaches the user as `DinghyError.step`.
#pragma once

#include <cerrno>
#include <string>
#include <utility>
#include <variant>

namespace sys {

// What failed: the step, the kernel's number (0 when the kernel was not asked), and a sentence for people.
struct Error {
  std::string step;
  int err = 0;
  std::string message;
  int exit_code = 0;  // 126 or 127 when a command could not be run, else 0
  std::string path;
};

// Captures errno first, so that building the strings cannot change it.
[[nodiscard]] inline Error errno_error(std::string step, std::string path = {}, int err = errno) {
  Error e;
  e.err = err;
  e.step = std::move(step);
  e.path = std::move(path);
  return e;
}

[[nodiscard]] inline Error error(std::string step, std::string message, int err = 0) {
  Error e;
  e.err = err;
  e.step = std::move(step);
  e.message = std::move(message);
  return e;
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Result(Error failure) : state_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() { return *std::get_if<0>(&state_); }
  const T& value() const { return *std::get_if<0>(&state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] const Error& failure() const { return *std::get_if<1>(&state_); }
  Error take_failure() { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error failure) : failure_(std::move(failure)), ok_(false) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  [[nodiscard]] const Error& failure() const { return failure_; }
  Error take_failure() { return std::move(failure_); }

 private:
  Error failure_;
  bool ok_ = true;
};

// Returns the failure of `expr` from the enclosing function, else goes on.
#define SYS_TRY(expr)                                          \
  do {                                                         \
    auto sys_try_result = (expr);                              \
    if (!sys_try_result) return sys_try_result.take_failure(); \
  } while (0)

}  // namespace sys
