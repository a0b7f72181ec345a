#include "layer/plain_input.h"

#include <string>
#include <string_view>
#include <utility>

#include "layer/inflate.h"
#include "layer/thread.h"

namespace layer {
namespace {

constexpr size_t kChunkSize = 256UL * 1024;
constexpr size_t kChunks = 8;
// 128 MiB, as zstd(1) accepts; layers are made with 8 MiB at most unless somebody asks for --long.
constexpr int kZstdWindowLog = 27;
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

std::string_view algorithm_of(std::string_view digest) {
  return digest.empty() ? std::string_view("sha256") : digest.substr(0, digest.find(':'));
}

}  // namespace

// A source whose first chunk somebody has looked at.
class PeekedSource final : public ByteSource {
 public:
  PeekedSource(std::span<const uint8_t> first, ByteSource& rest) : first_(first), rest_(rest) {}
  sys::Result<std::span<const uint8_t>> next() override {
    if (first_.empty()) return rest_.next();
    return std::exchange(first_, {});
  }

 private:
  std::span<const uint8_t> first_;
  ByteSource& rest_;
};

// The second stage: pulls the blob, pushes what it holds.
class InflateStage {
 public:
  InflateStage(std::unique_ptr<Inflater> inflater, ByteSource& in)
      : inflater_(std::move(inflater)), in_(in), ring_(kChunks, kChunkSize) {}
  ~InflateStage() { stop(); }
  InflateStage(const InflateStage&) = delete;
  InflateStage& operator=(const InflateStage&) = delete;

  sys::Result<void> start() {
    return thread_.start([this] { run(); });
  }
  Ring& ring() { return ring_; }
  void stop() {
    ring_.cancel();
    thread_.join();
  }

 private:
  void run() {
    while (uint8_t* chunk = ring_.produce()) {
      auto filled = inflater_->read(chunk, ring_.chunk_size());
      if (!filled) return ring_.fail(filled.take_failure());
      if (*filled > 0) {
        ring_.commit(*filled);
        continue;
      }
      // The digest covers what follows the last member too.
      while (true) {
        auto rest = in_.next();
        if (!rest) return ring_.fail(rest.take_failure());
        if (rest->empty()) break;
      }
      return ring_.finish();
    }
  }

  std::unique_ptr<Inflater> inflater_;
  ByteSource& in_;
  Ring ring_;
  Thread thread_;
};

PlainInput::PlainInput(int input, sys::Fd keep, const Promised& promised, const Limits& limits,
                       const ProgressFn& progress)
    : limits_(limits),
      progress_(progress),
      blob_(input, std::move(keep), promised.size, promised.digest),
      same_algorithm_(algorithm_of(promised.digest) == algorithm_of(promised.diff_id)),
      hash_(promised.diff_id) {}

PlainInput::~PlainInput() = default;

sys::Result<void> PlainInput::start() {
  SYS_TRY(blob_.start());
  auto head = blob_.ring().next();
  if (!head) return head.take_failure();
  peeked_ = std::make_unique<PeekedSource>(*head, blob_.ring());
  source_ = peeked_.get();
  const Compression compression = sniff(*head);
  if (compression == Compression::kBzip2 || compression == Compression::kXz) {
    return sys::error("inflate", std::string(compression == Compression::kXz ? "xz" : "bzip2") +
                                     " is no compression of OCI layers (gzip, zstd or none are)");
  }
  if (compression == Compression::kNone) return {};
  compression_ = compression == Compression::kGzip ? "gzip" : "zstd";
  inflate_ = std::make_unique<InflateStage>(
      compression == Compression::kGzip ? make_gzip_inflater(*peeked_) : make_zstd_inflater(*peeked_, kZstdWindowLog),
      *peeked_);
  source_ = &inflate_->ring();
  return inflate_->start();
}

sys::Result<std::span<const uint8_t>> PlainInput::next() {
  auto chunk = source_->next();
  if (!chunk) return chunk;
  size_ += chunk->size();
  if (size_ > limits_.bytes) {
    return sys::error("limit bytes", "the layer unpacks to over " + std::to_string(limits_.bytes) + " bytes");
  }
  if (size_ > limits_.ratio_floor && size_ / limits_.ratio > blob_.size()) {
    return sys::error("limit ratio", "the layer unpacks to over " + std::to_string(limits_.ratio) +
                                         " times its size, as a decompression bomb does");
  }
  if (has_own_hash()) hash_.update(*chunk);
  report();
  return chunk;
}

void PlainInput::cancel() {
  // The blob's thread first.
  if (inflate_) inflate_->ring().cancel();
  blob_.stop();
}

void PlainInput::stop() {
  if (inflate_) inflate_->stop();
  blob_.stop();
}

PlainInput::Digests PlainInput::digests() {
  Digests digests{blob_.digest(), {}};
  digests.diff_id = has_own_hash() ? hash_.text() : digests.blob;
  return digests;
}

void PlainInput::report() {
  const auto now = std::chrono::steady_clock::now();
  if (!progress_ || now - reported_ < kProgressInterval) return;
  reported_ = now;
  progress_({blob_.size(), size_});
}

}  // namespace layer
