// What a blob holds, whatever its compression: inflated, counted, limited, hashed. Two threads with bounded queues
// behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "layer/blob_input.h"
#include "layer/digest.h"
#include "layer/stream.h"

namespace layer {

class InflateStage;
class PeekedSource;

// Where a hostile layer is stopped, with the step "limit" and the name of the member ("limit ratio"). docs/layers.md
// says why no real layer meets them.
struct Limits {
  uint64_t bytes = 64ULL << 30;  // uncompressed, and the sizes of sparse files
  uint64_t entries = 2'000'000;
  // Uncompressed bytes per compressed one. It counts above `ratio_floor` bytes only: small layers of zeros are
  // ordinary, and gzip packs those 1030:1.
  uint64_t ratio = 200;
  uint64_t ratio_floor = 4ULL << 30;
  uint32_t depth = 1024;  // folders in each other
};

struct Progress {
  uint64_t read = 0;     // of the blob
  uint64_t written = 0;  // uncompressed
};
// Called from the calling thread, at most ten times a second.
using ProgressFn = std::function<void(const Progress&)>;

class PlainInput final : public ByteSource {
 public:
  // What is promised of the blob and of what it holds; absent or empty: not known. A digest tells its algorithm too.
  struct Promised {
    std::optional<uint64_t> size;
    std::string digest;
    std::string diff_id;
  };

  // As BlobInput; `limits` and `progress` outlive it.
  PlainInput(int input, sys::Fd keep, const Promised& promised, const Limits& limits, const ProgressFn& progress);
  ~PlainInput() override;
  PlainInput(const PlainInput&) = delete;
  PlainInput& operator=(const PlainInput&) = delete;

  // Waits for the first bytes, which say how it is compressed. bzip2 and xz are errors of the step "inflate".
  sys::Result<void> start();
  // Past the limits: an error of the step "limit".
  sys::Result<std::span<const uint8_t>> next() override;

  // The consumer has failed: whatever a stage waits for will not come.
  void cancel();
  // After the end: the threads have ended.
  void stop();

  BlobInput& blob() { return blob_; }
  // "gzip", "zstd" or "none".
  [[nodiscard]] const char* compression() const { return compression_; }
  [[nodiscard]] uint64_t size() const { return size_; }
  // Of the blob and of what next() gave. After stop(); each once.
  struct Digests {
    std::string blob;
    std::string diff_id;
  };
  Digests digests();

 private:
  void report();
  [[nodiscard]] bool has_own_hash() const { return inflate_ != nullptr || !same_algorithm_; }

  const Limits& limits_;
  const ProgressFn& progress_;
  // In this order, so that each stage is stopped before the one it reads from.
  BlobInput blob_;
  std::unique_ptr<PeekedSource> peeked_;
  std::unique_ptr<InflateStage> inflate_;
  ByteSource* source_ = nullptr;
  const char* compression_ = "none";
  // A blob that is not compressed is its own diff: one hash does, if both are to be of one algorithm.
  bool same_algorithm_;
  Digest hash_;
  uint64_t size_ = 0;
  std::chrono::steady_clock::time_point reported_ = {};
};

}  // namespace layer
