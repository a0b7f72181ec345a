// Bytes that are pulled, piece by piece.
#pragma once

#include <cstdint>
#include <span>

#include "sys/result.h"

namespace layer {

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // The next bytes, valid until the next call. Empty at the end of the stream, and then for ever.
  virtual sys::Result<std::span<const uint8_t>> next() = 0;
};

}  // namespace layer
