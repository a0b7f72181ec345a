// A bounded queue of chunks between two threads. The bound is what keeps unpacking in a few MiB whatever the layer's
// size: a fast producer waits for a slow consumer, back to the network.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "layer/stream.h"

namespace layer {

// One producer, one consumer.
class Ring final : public ByteSource {
 public:
  Ring(size_t chunks, size_t chunk_size);

  [[nodiscard]] size_t chunk_size() const { return chunk_size_; }

  // Producer: a free chunk of chunk_size() bytes, or null when the consumer has cancelled. Waits.
  uint8_t* produce();
  // Producer: the chunk from produce() holds `size` bytes and is the consumer's now.
  void commit(size_t size);
  // Producer: nothing more follows.
  void finish();
  // Producer: the consumer gets `failure` after what was committed.
  void fail(sys::Error failure);

  // Consumer: waits for a chunk; the former one is free again.
  sys::Result<std::span<const uint8_t>> next() override;
  // Consumer: takes no more; the producer learns at its next produce().
  void cancel();

 private:
  struct Chunk {
    std::unique_ptr<uint8_t[]> bytes;
    size_t size = 0;
  };

  const size_t chunk_size_;
  std::vector<Chunk> chunks_;
  std::mutex mutex_;
  std::condition_variable readable_;
  std::condition_variable writable_;
  size_t head_ = 0;    // chunks ever released by the consumer
  size_t tail_ = 0;    // chunks ever committed
  bool held_ = false;  // the consumer still looks at chunk head_
  bool finished_ = false;
  bool cancelled_ = false;
  std::optional<sys::Error> failure_;
};

}  // namespace layer
