// What a container finds on its own loopback: sockets that we have inside its network namespace, and rules that lead to
// them. Nothing of it is on the host, and nobody but the container's programs gets there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// Ours, by which Docker's programs know it too.
inline constexpr const char* kInsideAddress = "127.0.0.11";

// A socket of the present namespace, a container's, whose loopback is up: non-blocking, close-on-exec, bound to that
// port of kInsideAddress; one of SOCK_STREAM listens. Ports outside the range from which the kernel takes some
// (ip_local_port_range): a program of the container that binds one on all addresses shall not meet us there.
sys::Result<sys::Fd> bind_inside(int type, std::uint16_t port);

struct Redirection {
  std::uint8_t protocol;  // IPPROTO_UDP, IPPROTO_TCP
  std::uint32_t address;  // in network order
  std::uint16_t port;
  std::uint16_t inside;  // a port of kInsideAddress
};

// In the present namespace, a container's: what its programs send to these addresses and ports arrives inside, and is
// answered as if it had not been led elsewhere. Holds while the descriptor is open. `table` is nobody else's there.
sys::Result<sys::Fd> redirect_inside(const std::string& table, const std::vector<Redirection>& redirections);

}  // namespace net
