#include "layer/gzip_header.h"

#include <zlib.h>

#include <array>

namespace layer {
namespace {

// ID1, ID2, CM, FLG, MTIME (4), XFL, OS.
constexpr uint32_t kFixedSize = 10;
constexpr std::array<uint8_t, 3> kStart = {0x1f, 0x8b, 8};
constexpr uint32_t kFlagsAt = 3;
constexpr uint8_t kHasChecksum = 2;
constexpr uint8_t kHasExtra = 4;
constexpr uint8_t kHasName = 8;
constexpr uint8_t kHasComment = 16;
constexpr uint8_t kReserved = 0xe0;

sys::Error damaged() { return sys::error("inflate", "gzip: damaged header"); }

}  // namespace

sys::Result<size_t> GzipHeader::take(const uint8_t* bytes, size_t size) {
  size_t taken = 0;
  while (taken < size && !complete()) {
    SYS_TRY(take_one(bytes[taken]));
    taken++;
  }
  return taken;
}

void GzipHeader::enter(Part part) {
  at_ = 0;
  number_ = 0;
  part_ = part;
  if (part_ == Part::kExtraSize && (flags_ & kHasExtra) == 0) part_ = Part::kName;
  if (part_ == Part::kName && (flags_ & kHasName) == 0) part_ = Part::kComment;
  if (part_ == Part::kComment && (flags_ & kHasComment) == 0) part_ = Part::kChecksum;
  if (part_ == Part::kChecksum && (flags_ & kHasChecksum) == 0) part_ = Part::kEnd;
}

sys::Result<void> GzipHeader::take_one(uint8_t byte) {
  const uint32_t at = at_++;
  if (part_ == Part::kExtraSize || part_ == Part::kChecksum) number_ |= static_cast<uint32_t>(byte) << (8 * at);
  if (part_ != Part::kChecksum) sum_ = crc32(sum_, &byte, 1);
  switch (part_) {
    case Part::kFixed:
      if (at < kStart.size() && byte != kStart[at]) return damaged();
      if (at == kFlagsAt) flags_ = byte;
      if ((flags_ & kReserved) != 0) return damaged();
      if (at_ == kFixedSize) enter(Part::kExtraSize);
      break;
    case Part::kExtraSize:
      if (at_ < 2) break;
      at_ = 0;
      part_ = Part::kExtra;
      if (number_ == 0) enter(Part::kName);
      break;
    case Part::kExtra:
      if (at_ == number_) enter(Part::kName);
      break;
    case Part::kName:
      if (byte == 0) enter(Part::kComment);
      break;
    case Part::kComment:
      if (byte == 0) enter(Part::kChecksum);
      break;
    case Part::kChecksum:
      if (at_ < 2) break;
      if (number_ != (sum_ & 0xffff)) return damaged();
      enter(Part::kEnd);
      break;
    case Part::kEnd:
      break;
  }
  return {};
}

}  // namespace layer
