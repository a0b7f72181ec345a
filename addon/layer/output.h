// Bytes on their way into a descriptor, written by a thread of its own while the next ones are being read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "layer/ring.h"
#include "layer/thread.h"
#include "sys/result.h"

namespace layer {

class Output {
 public:
  // `fd` stays the caller's, and open until finish() has returned or this is gone.
  explicit Output(int fd);
  // What was not finished is dropped; waits for a write under way.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  sys::Result<void> start();

  // Free space to fill, never empty; the first bytes of it become output by advance(). Waits for the descriptor.
  // Its errors are those of earlier writes (step "write").
  sys::Result<std::span<uint8_t>> room();
  void advance(size_t size);

  sys::Result<void> write(std::string_view bytes);
  sys::Result<void> zeros(uint64_t size);

  // Everything has been written. Nothing may follow.
  sys::Result<void> finish();

  // Bytes taken so far.
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  void drain();
  sys::Result<void> failed();

  const int fd_;
  Ring ring_;
  Thread thread_;
  uint8_t* chunk_ = nullptr;
  size_t used_ = 0;
  uint64_t size_ = 0;
  std::optional<sys::Error> failure_;  // the thread's, to be looked at once it has ended
};

}  // namespace layer
