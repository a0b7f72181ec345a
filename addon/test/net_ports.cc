#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "net_support.h"

using namespace net_test;

namespace {

net::Port port(std::string address, std::uint16_t host, net::Protocol protocol = net::Protocol::kTcp) {
  return {std::move(address), host, 80, protocol};
}

std::string bound_to(const std::vector<net::Listener>& listeners) {
  std::string text;
  for (const auto& listener : listeners) {
    text += listener.port.host_address + "-" + std::to_string(listener.port.host_port) + " ";
  }
  return text;
}

}  // namespace

TEST_CASE("one number is bound on IPv4 and IPv6, fixed or ephemeral") {
  HostNamespace host;
  auto fixed = net::bind_ports({port("", 8001), port("localhost", 8002), port("127.0.0.1", 8003), port("::1", 8003)});
  REQUIRE(fixed.ok());
  CHECK(bound_to(*fixed) == "0.0.0.0-8001 ::-8001 127.0.0.1-8002 ::1-8002 127.0.0.1-8003 ::1-8003 ");
  CHECK(connect_to("127.0.0.1", 8001));
  CHECK(connect_to("::1", 8001));

  auto ephemeral = net::bind_ports({port("", 0), port("localhost", 0), port("127.0.0.1", 0, net::Protocol::kUdp)});
  REQUIRE(ephemeral.ok());
  REQUIRE(ephemeral->size() == 5);
  CHECK((*ephemeral)[0].port.host_port != 0);
  CHECK((*ephemeral)[0].port.host_port == (*ephemeral)[1].port.host_port);
  CHECK((*ephemeral)[2].port.host_port == (*ephemeral)[3].port.host_port);
  CHECK((*ephemeral)[0].port.host_port != (*ephemeral)[2].port.host_port);
  CHECK((*ephemeral)[4].port.container_port == 80);
}

TEST_CASE("an ephemeral number that IPv6 has in use is passed over") {
  HostNamespace host;
  // Only two numbers to choose from, and one is taken on IPv6: the other must be found.
  REQUIRE(net::bind_ports({port("::1", 40000)}).ok());
  sys::Fd range(open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC));
  REQUIRE(write(range.get(), "40000 40001", 11) == 11);
  auto taken = net::bind_ports({port("::1", 40000)});
  REQUIRE(taken.ok());
  auto found = net::bind_ports({port("localhost", 0)});
  REQUIRE(found.ok());
  CHECK(bound_to(*found) == "127.0.0.1-40001 ::1-40001 ");
  auto none_left = net::bind_ports({port("localhost", 0)});
  REQUIRE(!none_left.ok());
  CHECK(none_left.failure().step == "bind port");
}

TEST_CASE("a taken port is refused, naming it and who holds it") {
  HostNamespace host;
  auto holder = net::bind_ports({port("127.0.0.1", 8001), port("127.0.0.1", 8002, net::Protocol::kUdp)});
  REQUIRE(holder.ok());
  const std::string self = "(pid " + std::to_string(getpid()) + ")";

  auto tcp = net::bind_ports({port("localhost", 9000), port("", 8001)});
  REQUIRE(!tcp.ok());
  CHECK(tcp.failure().step == "bind port");
  CHECK(tcp.failure().err == EADDRINUSE);
  CHECK(tcp.failure().message.find("0.0.0.0:8001/tcp: the port is already in use by ") == 0);
  CHECK(tcp.failure().message.find(self) != std::string::npos);
  // What was reserved before the failure is free again.
  CHECK(net::bind_ports({port("localhost", 9000)}).ok());

  auto udp = net::bind_ports({port("127.0.0.1", 8002, net::Protocol::kUdp)});
  REQUIRE(!udp.ok());
  CHECK(udp.failure().message.find("127.0.0.1:8002/udp: the port is already in use by ") == 0);

  auto v6 = net::bind_ports({port("::1", 8003)});
  REQUIRE(v6.ok());
  auto both = net::bind_ports({port("", 8003)});
  REQUIRE(!both.ok());
  CHECK(both.failure().message.find("[::]:8003/tcp") == 0);
}

TEST_CASE("a port whose connections linger in TIME_WAIT is free; addresses that are none are refused") {
  HostNamespace host;
  {
    auto first = net::bind_ports({port("127.0.0.1", 8001)});
    REQUIRE(first.ok());
    sys::Fd client = connect_to("127.0.0.1", 8001);
    sys::Fd server(accept((*first)[0].fd.get(), nullptr, nullptr));
    REQUIRE(server);
    server.reset();  // closes first: TIME_WAIT is ours
    CHECK(read_all(client.get()).empty());
  }
  CHECK(net::bind_ports({port("127.0.0.1", 8001)}).ok());

  auto elsewhere = net::bind_ports({port("192.0.2.77", 8001)});
  REQUIRE(!elsewhere.ok());
  CHECK(elsewhere.failure().message == "192.0.2.77:8001/tcp: the host has no such address");
  CHECK(net::bind_ports({port("example.com", 8001)}).failure().err == EINVAL);
}

TEST_CASE("a host without IPv6 does with IPv4") {
  HostNamespace host;
  sys::Fd all(open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC));
  REQUIRE(write(all.get(), "1", 1) == 1);
  auto bound = net::bind_ports({port("localhost", 8001)});
  REQUIRE(bound.ok());
  CHECK(bound_to(*bound) == "127.0.0.1-8001 ");
}
