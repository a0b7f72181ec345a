// libseccomp's filters, for one architecture each until they are merged.
#pragma once

#include <seccomp.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sys/result.h"

namespace jail::seccomp {

// The native architecture first. The others are what the same kernel runs besides: 32-bit programs, and x32.
#if defined(__x86_64__)
constexpr uint32_t kArchitectures[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32};
#elif defined(__aarch64__)
constexpr uint32_t kArchitectures[] = {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
#else
#error "unsupported architecture"
#endif

// They are built apart and merged at the end, because libseccomp takes a call by bare number only in a filter that has
// no architecture but the native one.
class Filter {
 public:
  // What no rule names gives `otherwise`.
  Filter(uint32_t architecture, uint32_t otherwise) : context_(seccomp_init(otherwise)), architecture_(architecture) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  [[nodiscard]] sys::Result<void> prepare();
  // The call gives `action` when all of `arguments` hold. One that neither libseccomp nor this code knows is passed
  // over.
  [[nodiscard]] sys::Result<void> add(uint32_t action, const char* call,
                                      const std::vector<scmp_arg_cmp>& arguments = {});
  // Takes over all rules of `other`, which is empty afterwards.
  [[nodiscard]] sys::Result<void> merge(Filter& other);
  // An array of struct sock_filter, as bytes.
  [[nodiscard]] sys::Result<std::string> program();

 private:
  scmp_filter_ctx context_;
  uint32_t architecture_;
};

}  // namespace jail::seccomp
