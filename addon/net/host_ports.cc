#include "net/host_ports.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "net/address.h"
#include "net/inside.h"
#include "net/namespace.h"

namespace net {
namespace {

constexpr std::uint16_t kFirstInside = 64100;

}  // namespace

sys::Result<std::vector<Listener>> open_host_ports(int netns, const std::vector<std::uint16_t>& ports) {
  if (ports.size() > kMaxHostPorts) return sys::error("open host ports", "there are too many", EINVAL);
  std::vector<Listener> listeners;
  SYS_TRY(in_namespace(netns, [&]() -> sys::Result<void> {
    for (const std::uint16_t port : ports) {
      const auto inside = static_cast<std::uint16_t>(kFirstInside + listeners.size());
      auto fd = bind_inside(SOCK_STREAM, inside);
      if (!fd) return fd.take_failure();
      const int on = 1;
      // As for published ports (ports.cc): urgent data may come before we accept.
      (void)setsockopt(fd->get(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
      listeners.push_back({std::move(*fd), Port{kInsideAddress, inside, port, Protocol::kTcp}});
    }
    return {};
  }));
  return listeners;
}

sys::Result<sys::Fd> lead_to_host_ports(int netns, const std::vector<Listener>& listeners,
                                        const std::vector<std::string>& gateways, unsigned turn) {
  std::vector<Redirection> redirections;
  for (const std::string& gateway : gateways) {
    const auto address = parse_address(gateway);
    if (!address) return sys::error("open host ports", "not an IPv4 address: " + gateway, EINVAL);
    for (const Listener& listener : listeners) {
      redirections.push_back({IPPROTO_TCP, *address, listener.port.container_port, listener.port.host_port});
    }
  }
  sys::Fd rules;
  SYS_TRY(in_namespace(netns, [&]() -> sys::Result<void> {
    auto held = redirect_inside("dinghy-host-ports-" + std::to_string(turn), redirections);
    if (!held) return held.take_failure();
    rules = std::move(*held);
    return {};
  }));
  return rules;
}

sys::Result<Helper> start_host_ports(const std::vector<Listener>& listeners) {
  return start_forwarder(listeners, "127.0.0.1");
}

}  // namespace net
