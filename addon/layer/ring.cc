#include "layer/ring.h"

namespace layer {

Ring::Ring(size_t chunks, size_t chunk_size) : chunk_size_(chunk_size), chunks_(chunks) {
  for (Chunk& chunk : chunks_) chunk.bytes.reset(new uint8_t[chunk_size]);
}

uint8_t* Ring::produce() {
  std::unique_lock<std::mutex> lock(mutex_);
  writable_.wait(lock, [this] { return cancelled_ || tail_ - head_ < chunks_.size(); });
  return cancelled_ ? nullptr : chunks_[tail_ % chunks_.size()].bytes.get();
}

void Ring::commit(size_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  chunks_[tail_ % chunks_.size()].size = size;
  tail_++;
  readable_.notify_one();
}

void Ring::finish() {
  const std::lock_guard<std::mutex> lock(mutex_);
  finished_ = true;
  readable_.notify_one();
}

void Ring::fail(sys::Error failure) {
  const std::lock_guard<std::mutex> lock(mutex_);
  failure_ = std::move(failure);
  finished_ = true;
  readable_.notify_one();
}

sys::Result<std::span<const uint8_t>> Ring::next() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (held_) {
    held_ = false;
    head_++;
    writable_.notify_one();
  }
  readable_.wait(lock, [this] { return finished_ || head_ != tail_; });
  if (head_ != tail_) {
    held_ = true;
    const Chunk& chunk = chunks_[head_ % chunks_.size()];
    return std::span<const uint8_t>(chunk.bytes.get(), chunk.size);
  }
  if (failure_) return *failure_;
  return std::span<const uint8_t>();
}

void Ring::cancel() {
  const std::lock_guard<std::mutex> lock(mutex_);
  cancelled_ = true;
  writable_.notify_one();
}

}  // namespace layer
