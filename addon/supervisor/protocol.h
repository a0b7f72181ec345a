// The control protocol's numbers: one side of a seam whose other side is lib/native/protocol.ts (a native test compares
// the two). ARCHITECTURE.md has the meaning of every request.
#pragma once

#include <cstddef>
#include <cstdint>

namespace supervisor {

constexpr int kProtocolVersion = 1;
// The one that this binary speaks. In a file of its own, so that tests can link a binary that speaks another.
int protocol_version();

// u32 length of the payload, u16 type, u16 zero; little-endian.
constexpr size_t kHeaderSize = 8;
constexpr size_t kMaxPayload = 1048576;

enum class FrameType : uint16_t {
  kClientHello = 1,
  kRequest = 2,
  kStdin = 3,
  kStdinEnd = 4,
  kServerHello = 101,
  kReply = 102,
  kEvent = 103,
};

// The descriptors that every mode gets.
constexpr int kControlFd = 3;
constexpr int kLockFd = 4;

}  // namespace supervisor
