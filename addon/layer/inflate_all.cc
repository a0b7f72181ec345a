#include "layer/inflate_all.h"

#include <unistd.h>

#include <cerrno>

namespace layer {
namespace {

sys::Result<void> copy(PlainInput& input, int output) {
  while (true) {
    auto chunk = input.next();
    if (!chunk) return chunk.take_failure();
    if (chunk->empty()) return {};
    for (size_t done = 0; done < chunk->size();) {
      const ssize_t wrote = write(output, chunk->data() + done, chunk->size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return sys::errno_error("write");
      done += static_cast<size_t>(wrote);
    }
  }
}

}  // namespace

sys::Result<uint64_t> inflate_all(int input, int output, const Limits& limits) {
  const ProgressFn nobody;
  PlainInput plain(input, {}, {}, limits, nobody);
  SYS_TRY(plain.start());
  auto copied = copy(plain, output);
  if (!copied) {
    plain.cancel();
    return copied.take_failure();
  }
  plain.stop();
  return plain.size();
}

}  // namespace layer
