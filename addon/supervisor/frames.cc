#include "supervisor/frames.h"

#include <cstring>

namespace supervisor {
namespace {

uint32_t read_u32(const char* at) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(at);
  return uint32_t{bytes[0]} | uint32_t{bytes[1]} << 8 | uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24;
}

uint16_t read_u16(const char* at) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(at);
  return static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
}

}  // namespace

void FrameReader::append(const char* data, size_t size) {
  buffer_.erase(0, start_);
  start_ = 0;
  buffer_.append(data, size);
}

FrameReader::Next FrameReader::next(Frame& frame) {
  const size_t available = buffer_.size() - start_;
  if (available < kHeaderSize) return Next::kMore;
  const char* header = buffer_.data() + start_;
  const size_t length = read_u32(header);
  if (length > kMaxPayload || read_u16(header + 6) != 0) return Next::kBroken;
  if (available < kHeaderSize + length) return Next::kMore;
  frame.type = read_u16(header + 4);
  frame.payload = std::string_view(header + kHeaderSize, length);
  start_ += kHeaderSize + length;
  return Next::kFrame;
}

std::string encode_frame(FrameType type, std::string_view payload) {
  const auto length = static_cast<uint32_t>(payload.size());
  const auto number = static_cast<uint16_t>(type);
  std::string frame;
  frame.reserve(kHeaderSize + payload.size());
  for (int shift = 0; shift < 32; shift += 8) frame.push_back(static_cast<char>(length >> shift & 0xff));
  frame.push_back(static_cast<char>(number & 0xff));
  frame.push_back(static_cast<char>(number >> 8));
  frame.append(2, '\0');
  frame.append(payload);
  return frame;
}

}  // namespace supervisor
