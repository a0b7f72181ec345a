// Cutting a byte stream into frames, and making frames.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "supervisor/protocol.h"

namespace supervisor {

struct Frame {
  uint16_t type = 0;
  std::string_view payload;  // valid until the reader is touched again
};

// Holds at most one frame and one read beyond it: a peer cannot make it grow.
class FrameReader {
 public:
  enum class Next { kFrame, kMore, kBroken };

  void append(const char* data, size_t size);
  // kBroken: what arrived is not the protocol, and nothing after it can be understood.
  Next next(Frame& frame);

 private:
  std::string buffer_;
  size_t start_ = 0;
};

// `type`, `payload` as bytes to send. A payload over kMaxPayload must not be given.
std::string encode_frame(FrameType type, std::string_view payload);

}  // namespace supervisor
