#include "layer/output.h"

#include <algorithm>
#include <cstring>

#include "sys/bytes.h"

namespace layer {
namespace {

constexpr size_t kChunkSize = 256UL * 1024;
constexpr size_t kChunks = 8;

}  // namespace

Output::Output(int fd) : fd_(fd), ring_(kChunks, kChunkSize) {}

Output::~Output() {
  ring_.fail(sys::error("write", "given up"));
  thread_.join();
}

sys::Result<void> Output::start() {
  return thread_.start([this] { drain(); });
}

void Output::drain() {
  while (true) {
    auto chunk = ring_.next();
    if (!chunk || chunk->empty()) return;
    auto written = sys::write_all(fd_, chunk->data(), chunk->size());
    if (written) continue;
    failure_ = written.take_failure();
    return ring_.cancel();
  }
}

sys::Result<void> Output::failed() {
  thread_.join();
  return *failure_;
}

sys::Result<std::span<uint8_t>> Output::room() {
  if (chunk_ != nullptr && used_ == kChunkSize) {
    ring_.commit(used_);
    chunk_ = nullptr;
  }
  if (chunk_ == nullptr) {
    chunk_ = ring_.produce();
    used_ = 0;
    if (chunk_ == nullptr) return failed().take_failure();
  }
  return std::span<uint8_t>(chunk_ + used_, kChunkSize - used_);
}

void Output::advance(size_t size) {
  used_ += size;
  size_ += size;
}

sys::Result<void> Output::write(std::string_view bytes) {
  while (!bytes.empty()) {
    auto space = room();
    if (!space) return space.take_failure();
    const size_t part = std::min(space->size(), bytes.size());
    std::memcpy(space->data(), bytes.data(), part);
    advance(part);
    bytes.remove_prefix(part);
  }
  return {};
}

sys::Result<void> Output::zeros(uint64_t size) {
  while (size > 0) {
    auto space = room();
    if (!space) return space.take_failure();
    const size_t part = static_cast<size_t>(std::min<uint64_t>(space->size(), size));
    std::memset(space->data(), 0, part);
    advance(part);
    size -= part;
  }
  return {};
}

sys::Result<void> Output::finish() {
  if (chunk_ != nullptr && used_ > 0) ring_.commit(used_);
  chunk_ = nullptr;
  ring_.finish();
  thread_.join();
  if (failure_) return *failure_;
  return {};
}

}  // namespace layer
