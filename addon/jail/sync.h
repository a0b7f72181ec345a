// What a starting process and its parent say to each other, over a SOCK_SEQPACKET pair: one message, one packet.
#pragma once

#include <cstdint>

#include "sys/fd.h"
#include "sys/result.h"

namespace jail::sync {

enum class Kind : uint8_t {
  kPoint = 1,    // child → parent: stands at Point(value)
  kGo = 2,       // parent → child: leave Point(value)
  kMaster = 3,   // child → parent: the pty's master is attached
  kError = 4,    // child → parent: failed, and is about to end
  kPid = 5,      // join's helper → parent: the process is pid `value`
  kNetwork = 6,  // child → parent: its new network namespace is attached
};

struct Message {
  Kind kind = Kind::kError;
  int32_t value = 0;
  sys::Error error;
  sys::Fd fd;
};

// Plain write(2) and read(2) unless a descriptor travels: a custom seccomp filter may already be in force.
sys::Result<void> send(int socket, Kind kind, int32_t value, int fd = -1);
// Best effort: there is nobody to tell when telling fails.
void send_error(int socket, const sys::Error& failure);

// The next message; the error ECONNRESET when the other end is closed.
sys::Result<Message> receive(int socket);
// For the child: as receive, without the possibility of a descriptor, by read(2).
sys::Result<void> expect_go(int socket, int32_t point);

}  // namespace jail::sync
