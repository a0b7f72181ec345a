// The blob on its way in: read, hashed, kept, queued.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "layer/digest.h"
#include "layer/ring.h"
#include "layer/thread.h"
#include "sys/fd.h"

namespace layer {

class BlobInput {
 public:
  // Reads from `input`; more than `limit` bytes, or fewer than `exact`, is an error on the ring. `keep` may be no
  // descriptor.
  BlobInput(int input, sys::Fd keep, std::optional<uint64_t> exact, const std::string& expected_digest);
  ~BlobInput();
  BlobInput(const BlobInput&) = delete;
  BlobInput& operator=(const BlobInput&) = delete;

  sys::Result<void> start();
  Ring& ring() { return ring_; }
  [[nodiscard]] uint64_t size() const { return size_.load(std::memory_order_relaxed); }

  // The thread has ended, early if the consumer does not want the rest. Idempotent.
  void stop();
  // After the ring's end and stop().
  std::string digest() { return hash_.text(); }
  // The kept blob is on the disk.
  sys::Result<void> sync();

 private:
  void run();
  // Fills a chunk as far as the input goes. 0 at the end.
  sys::Result<size_t> fill(uint8_t* chunk);
  sys::Result<size_t> read_some(uint8_t* to, size_t size);

  const int input_;
  sys::Fd keep_;
  const std::optional<uint64_t> exact_;
  Ring ring_;
  Digest hash_;
  std::atomic<uint64_t> size_ = 0;
  sys::Fd stop_event_;
  Thread thread_;
};

}  // namespace layer
