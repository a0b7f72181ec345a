// Reserving published ports.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "net/endpoint.h"
#include "net/holder.h"
#include "net/network.h"

namespace net {
namespace {

// Between the SYN and our accept; the kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;
// A free number on IPv4 may be taken on IPv6. On a host with that many clashes in a row the ports are as good as used
// up.
constexpr int kEphemeralAttempts = 64;

std::string where(const std::string& host, std::uint16_t port) {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

sys::Error bind_error(const std::string& host, const Port& port, int err) {
  bool is_udp = port.protocol == Protocol::kUdp;
  std::string message = where(host, port.host_port) + (is_udp ? "/udp" : "/tcp") + ": ";
  if (err == EADDRINUSE) {
    std::string holder = port.host_port == 0 ? "" : port_holder(port.host_port, is_udp);
    message += holder.empty() ? "the port is already in use" : "the port is already in use by " + holder;
  } else if (err == EADDRNOTAVAIL) {
    message += "the host has no such address";
  } else if (err == EACCES) {
    message += "a port below net.ipv4.ip_unprivileged_port_start needs CAP_NET_BIND_SERVICE";
  } else if (err == EINVAL) {
    message += "this is not an address";
  } else {
    message += std::strerror(err);
  }
  return sys::error("bind port", std::move(message), err);
}

// One bound socket; the error is bare (only its errno matters until it is known whether it is one).
sys::Result<Listener> bind_one(const std::string& host, const Port& port) {
  const auto local = parse_endpoint(host, port.host_port);
  if (!local) return sys::error("bind port", "not an address: " + host, EINVAL);
  bool is_udp = port.protocol == Protocol::kUdp;
  sys::Fd fd(socket(local->family(), (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return sys::errno_error("bind port");
  int on = 1;
  // Without it the TIME_WAIT connections of an earlier forwarder hold the port for a minute. For UDP it would mean
  // something else: that somebody may share the port.
  if (!is_udp) (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Inherited by accepted sockets, where it would come too late: urgent data can be there before we accept.
  if (!is_udp) (void)setsockopt(fd.get(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
  if (local->family() == AF_INET6) (void)setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (is_udp) {
    // The answer must come from the address that was asked, which a wildcard socket only learns like this.
    if (local->family() == AF_INET) (void)setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    if (local->family() == AF_INET6) (void)setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  }
  if (bind(fd.get(), local->get(), local->size) != 0) return sys::errno_error("bind port");
  // Listening is the reservation: while nobody listens, two sockets with SO_REUSEADDR may be bound to one port.
  if (!is_udp && listen(fd.get(), kBacklog) != 0) return sys::errno_error("bind port");
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) return sys::errno_error("bind port");
  Listener listener{std::move(fd), port};
  listener.port.host_address = host;
  listener.port.host_port = ntohs(reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  return listener;
}

bool means_no_ipv6(int err) { return err == EAFNOSUPPORT || err == EADDRNOTAVAIL; }

// Binds the IPv4 address and the IPv6 one under one number; a host without IPv6 does with IPv4.
sys::Result<void> bind_both(const char* v4, const char* v6, const Port& port, std::vector<Listener>& listeners) {
  for (int attempt = 1;; attempt++) {
    auto low = bind_one(v4, port);
    if (!low) return bind_error(v4, port, low.failure().err);
    Port same = port;
    same.host_port = low->port.host_port;
    auto high = bind_one(v6, same);
    if (!high && high.failure().err == EADDRINUSE && port.host_port == 0 && attempt < kEphemeralAttempts) continue;
    if (!high && !means_no_ipv6(high.failure().err)) return bind_error(v6, same, high.failure().err);
    listeners.push_back(std::move(*low));
    if (high) listeners.push_back(std::move(*high));
    return {};
  }
}

}  // namespace

sys::Result<std::vector<Listener>> bind_ports(const std::vector<Port>& ports) {
  std::vector<Listener> listeners;
  for (const Port& port : ports) {
    if (port.host_address.empty()) {
      SYS_TRY(bind_both("0.0.0.0", "::", port, listeners));
    } else if (port.host_address == "localhost") {
      SYS_TRY(bind_both("127.0.0.1", "::1", port, listeners));
    } else {
      auto listener = bind_one(port.host_address, port);
      if (!listener) return bind_error(port.host_address, port, listener.failure().err);
      listeners.push_back(std::move(*listener));
    }
  }
  return listeners;
}

}  // namespace net
