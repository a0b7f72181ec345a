// What a blob holds, whatever its compression: inflated, counted, limited, hashed. Two threads with bounded queues
// behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "layer/blob_input.h"
#include "layer/sha256.h"
#include "layer/stream.h"

namespace layer {

class InflateStage;
class PeekedSource;

// Where a hostile layer is stopped, with the step "limit".
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
  // As BlobInput; `limits` and `progress` outlive it.
  PlainInput(int input, sys::Fd keep, std::optional<uint64_t> exact, const Limits& limits, const ProgressFn& progress);
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
  [[nodiscard]] bool compressed() const { return inflate_ != nullptr; }
  [[nodiscard]] uint64_t size() const { return size_; }
  // Of what next() gave, if that was inflated; otherwise the blob's is the same.
  std::string digest() { return hash_.digest(); }

 private:
  void report();

  const Limits& limits_;
  const ProgressFn& progress_;
  // In this order, so that each stage is stopped before the one it reads from.
  BlobInput blob_;
  std::unique_ptr<PeekedSource> peeked_;
  std::unique_ptr<InflateStage> inflate_;
  ByteSource* source_ = nullptr;
  Sha256 hash_;
  uint64_t size_ = 0;
  std::chrono::steady_clock::time_point reported_ = {};
};

}  // namespace layer
