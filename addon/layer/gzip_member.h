// One gzip member. Two implementations: ISA-L (gzip_isal.cc, two to three times faster) where the build found it, else
// zlib (gzip_zlib.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "sys/result.h"

namespace layer {

// What is left of both buffers.
struct Window {
  const uint8_t* in;
  size_t in_size;
  uint8_t* out;
  size_t out_size;
};

class GzipMember {
 public:
  virtual ~GzipMember() = default;
  // Ready for a new member.
  virtual void reset() = 0;
  // Moves the window; true when the member has ended, its checksum and length found right.
  virtual sys::Result<bool> step(Window& window) = 0;
};

std::unique_ptr<GzipMember> make_gzip_member();

}  // namespace layer
