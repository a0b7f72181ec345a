#include <initializer_list>

#include "layer/inflate.h"

namespace layer {

Compression sniff(std::span<const uint8_t> head) {
  const auto starts = [head](std::initializer_list<uint8_t> magic) {
    if (head.size() < magic.size()) return false;
    size_t at = 0;
    for (const uint8_t byte : magic) {
      if (head[at++] != byte) return false;
    }
    return true;
  };
  if (starts({0x1f, 0x8b})) return Compression::kGzip;
  if (starts({0x28, 0xb5, 0x2f, 0xfd})) return Compression::kZstd;
  // A skippable frame first, as pzstd writes: 0x184D2A50 to 5F, little-endian.
  if (head.size() >= 4 && (head[0] & 0xf0) == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18)
    return Compression::kZstd;
  if (starts({'B', 'Z', 'h'})) return Compression::kBzip2;
  if (starts({0xfd, '7', 'z', 'X', 'Z', 0})) return Compression::kXz;
  return Compression::kNone;
}

}  // namespace layer
