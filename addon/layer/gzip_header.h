// The header of a gzip member (RFC 1952 §2.3), read byte by byte. ISA-L has a reader of its own, which loses its place
// when a header with optional fields comes in pieces.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/result.h"

namespace layer {

class GzipHeader {
 public:
  void reset() { *this = GzipHeader(); }
  // Takes what belongs to the header from the front of `bytes`. Returns how much that is; complete() tells whether more
  // is wanted. Fails on another method than deflate, on reserved flags, and on a header checksum that is wrong.
  sys::Result<size_t> take(const uint8_t* bytes, size_t size);
  [[nodiscard]] bool complete() const { return part_ == Part::kEnd; }

 private:
  enum class Part { kFixed, kExtraSize, kExtra, kName, kComment, kChecksum, kEnd };

  sys::Result<void> take_one(uint8_t byte);
  // The first optional part from `part` on that this header has.
  void enter(Part part);

  Part part_ = Part::kFixed;
  uint8_t flags_ = 0;
  uint32_t at_ = 0;      // within the part
  uint32_t number_ = 0;  // of two bytes, little-endian
  unsigned long sum_ = 0;
};

}  // namespace layer
