#include "layer/blob_input.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

namespace layer {
namespace {

constexpr size_t kChunkSize = 128UL * 1024;
constexpr size_t kChunks = 16;

}  // namespace

BlobInput::BlobInput(int input, sys::Fd keep, std::optional<uint64_t> exact, const std::string& expected_digest)
    : input_(input), keep_(std::move(keep)), exact_(exact), ring_(kChunks, kChunkSize), hash_(expected_digest) {}

BlobInput::~BlobInput() { stop(); }

sys::Result<void> BlobInput::start() {
  stop_event_.reset(eventfd(0, EFD_CLOEXEC));
  if (!stop_event_) return sys::errno_error("read layer");
  return thread_.start([this] { run(); });
}

void BlobInput::stop() {
  ring_.cancel();
  // The thread may be waiting for a network that says nothing.
  if (stop_event_) {
    const uint64_t one = 1;
    const ssize_t wrote = write(stop_event_.get(), &one, sizeof one);
    static_cast<void>(wrote);  // it can only fail by overflow, and then the event is set
  }
  thread_.join();
}

sys::Result<void> BlobInput::sync() {
  if (keep_ && fdatasync(keep_.get()) != 0) return sys::errno_error("keep blob");
  return {};
}

void BlobInput::run() {
  while (uint8_t* chunk = ring_.produce()) {
    auto filled = fill(chunk);
    if (!filled) return ring_.fail(filled.take_failure());
    if (*filled == 0) break;
    const std::span<const uint8_t> bytes(chunk, *filled);
    hash_.update(bytes);
    for (size_t done = 0; keep_ && done < bytes.size();) {
      const ssize_t wrote = write(keep_.get(), bytes.data() + done, bytes.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return ring_.fail(sys::errno_error("keep blob"));
      done += static_cast<size_t>(wrote);
    }
    const uint64_t size = size_ += *filled;
    if (exact_ && size > *exact_) {
      return ring_.fail(sys::error(
          "verify", "the blob is larger than " + std::to_string(*exact_) + " bytes, which its manifest says"));
    }
    ring_.commit(*filled);
  }
  if (exact_ && size() < *exact_) {
    return ring_.fail(sys::error("verify", "the blob has " + std::to_string(size()) + " bytes, but its manifest says " +
                                               std::to_string(*exact_)));
  }
  ring_.finish();
}

sys::Result<size_t> BlobInput::fill(uint8_t* chunk) {
  size_t have = 0;
  while (have < kChunkSize) {
    auto got = read_some(chunk + have, kChunkSize - have);
    if (!got) return got;
    if (*got == 0) break;
    have += *got;
  }
  return have;
}

sys::Result<size_t> BlobInput::read_some(uint8_t* to, size_t size) {
  while (true) {
    std::array<pollfd, 2> ready = {{{input_, POLLIN, 0}, {stop_event_.get(), POLLIN, 0}}};
    if (poll(ready.data(), ready.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return sys::errno_error("read layer");
    }
    if (ready[1].revents != 0) return sys::errno_error("read layer", {}, ECANCELED);
    const ssize_t got = read(input_, to, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR && errno != EAGAIN) return sys::errno_error("read layer");
  }
}

}  // namespace layer
