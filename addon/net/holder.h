// Who listens on a port, for an error message.
#pragma once

#include <cstdint>
#include <string>

namespace net {

// "nginx (pid 123)", or "" where it cannot be known: the socket belongs to another namespace's process, or /proc hides
// it. Reads all of /proc/*/fd: only for the way to an error.
std::string port_holder(std::uint16_t port, bool is_udp);

}  // namespace net
