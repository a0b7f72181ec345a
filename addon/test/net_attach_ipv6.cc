// Networks that have IPv6, too.
#include <doctest/doctest.h>
#include <linux/veth.h>

#include <string>

#include "net/address.h"
#include "net/bridge.h"
#include "net/forwarding.h"
#include "net_support.h"

using namespace net_test;

namespace {

const std::string kFirst = "aaaaaaaaaaaa0000";
const std::string kSecond = "bbbbbbbbbbbb0000";
const std::string kThird = "cccccccccccc0000";
constexpr const char* kForwarding = "/proc/sys/net/ipv6/conf/all/forwarding";

net::Config config6(const TemporaryFolder& folder, int number) {
  auto result = config(folder, number);
  result.gateway6 = "fd91::1";
  result.address6 = "fd91::" + std::to_string(number) + "/64";
  return result;
}

// A network beside that one.
net::Config beside(const TemporaryFolder& folder) {
  auto result = config(folder, 2, "dinghy1");
  result.subnet = "10.92.0.0/16";
  result.gateway = "10.92.0.1";
  result.address = "10.92.0.2/16";
  result.gateway6 = "fd92::1";
  result.address6 = "fd92::2/64";
  return result;
}

void give_address(const char* link, const char* address) {
  auto socket = net::Netlink::create(NETLINK_ROUTE);
  auto found = net::find_link(*socket, link);
  REQUIRE((found.ok() && found->has_value()));
  net::Batch batch;
  net::begin_set_link(batch, "up", link, true);
  net::add_address6(batch, "address", (*found)->index, *net::parse_cidr6(address));
  REQUIRE(socket->talk(batch).ok());
}

// A piece of the world outside, at fd99::2.
void connect_outside(int other) {
  auto socket = net::Netlink::create(NETLINK_ROUTE);
  net::Batch batch;
  ifinfomsg header{};
  batch.begin("outside", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header);
  batch.attribute(IFLA_IFNAME, "outside0");
  auto info = batch.open(IFLA_LINKINFO);
  batch.attribute(IFLA_INFO_KIND, "veth");
  auto data = batch.open(IFLA_INFO_DATA);
  auto peer = batch.open(VETH_INFO_PEER);
  batch.append(&header, sizeof header);
  batch.attribute(IFLA_IFNAME, "world0");
  batch.number(IFLA_NET_NS_FD, other);
  batch.close(peer);
  batch.close(data);
  batch.close(info);
  REQUIRE(socket->talk(batch).ok());
  give_address("outside0", "fd99::1/64");
  in_namespace(other, [] { give_address("world0", "fd99::2/64"); });
}

std::string ask(const char* address, std::uint16_t port, int seconds = 3) {
  sys::Fd connection = connect_to(address, port, SOCK_STREAM, seconds);
  return connection ? read_all(connection.get()) : strerror(errno);
}

bool can_connect(const char* address, std::uint16_t port) {
  return static_cast<bool>(connect_to(address, port, SOCK_STREAM, 1));
}

bool has_default_route() {
  const sys::Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  socklen_t size = 0;
  sockaddr_storage anywhere = endpoint("2001:db8::1", 9, size);
  return connect(socket.get(), reinterpret_cast<sockaddr*>(&anywhere), size) == 0;
}

}  // namespace

TEST_CASE("containers reach each other and the gateway over IPv6, from the first packet on") {
  HostNamespace host;
  TemporaryFolder folder;
  sys::Fd first = make_namespace();
  sys::Fd second = make_namespace();
  auto one = net::attach(config6(folder, 2), kFirst, first.get());
  REQUIRE_MESSAGE(one.ok(), one.failure().step, " ", one.failure().err, " ", one.failure().message);
  Server inside(first.get(), "fd91::2", 80, serve_peer_address);
  CHECK(ask("fd91::2", 80) == "fd91::1");
  auto two = net::attach(config6(folder, 3), kSecond, second.get());
  REQUIRE(two.ok());
  Server gateway(host.fd(), "fd91::1", 81, serve_peer_address);
  in_namespace(second.get(), [&] {
    CHECK(ask("fd91::2", 80) == "fd91::3");
    CHECK(ask("fd91::1", 81) == "fd91::3");
    CHECK(sysctl("/proc/sys/net/ipv6/conf/eth0/accept_ra") == "0");
    // The host does not forward: at once no way, instead of none after a while.
    CHECK(!has_default_route());
  });
  // It is not turned on, and the bridge believes no router.
  CHECK(sysctl(kForwarding) == "0");
  CHECK(sysctl("/proc/sys/net/ipv6/conf/dinghy0/accept_ra") == "0");
  CHECK(net::detach(config6(folder, 2), kFirst).ok());
  CHECK(net::detach(config6(folder, 3), kSecond).ok());
  CHECK(links().empty());
}

TEST_CASE("where the host forwards IPv6 they get out masqueraded, and nobody gets in") {
  HostNamespace host;
  TemporaryFolder folder;
  TemporaryFolder other_folder;
  sys::Fd first = make_namespace();
  sys::Fd third = make_namespace();
  sys::Fd world = make_namespace();
  connect_outside(world.get());
  REQUIRE(net::write_sysctl(kForwarding, "1").ok());
  REQUIRE(net::attach_link(config6(folder, 2), kFirst, first.get()).ok());
  auto three = net::attach(beside(other_folder), kThird, third.get());
  REQUIRE(three.ok());
  Server inside(first.get(), "fd91::2", 80, serve_peer_address);
  // Without its rules anybody could.
  in_namespace(third.get(), [&] { CHECK(ask("fd91::2", 80) == "fd91::1"); });
  auto rules = net::add_rules(config6(folder, 2), kFirst);
  REQUIRE(rules.ok());
  Server outside(world.get(), "fd99::2", 82, serve_peer_address);
  in_namespace(first.get(), [&] { CHECK(ask("fd99::2", 82) == "fd99::1"); });
  // The world has no route there, but a neighbour may make one; another network's container has.
  in_namespace(world.get(), [&] {
    auto socket = net::Netlink::create(NETLINK_ROUTE);
    auto link = net::find_link(*socket, "world0");
    const auto network = net::parse_cidr6("fd91::/64");
    const auto via = net::parse_cidr6("fd99::1/64");
    net::Batch batch;
    rtmsg route{};
    route.rtm_family = AF_INET6;
    route.rtm_dst_len = network->prefix;
    route.rtm_table = RT_TABLE_MAIN;
    route.rtm_protocol = RTPROT_BOOT;
    route.rtm_type = RTN_UNICAST;
    batch.begin("route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, route);
    batch.attribute(RTA_DST, network->address.data(), network->address.size());
    batch.attribute(RTA_GATEWAY, via->address.data(), via->address.size());
    batch.number(RTA_OIF, (*link)->index);
    REQUIRE(socket->talk(batch).ok());
    CHECK(!can_connect("fd91::2", 80));
  });
  in_namespace(third.get(), [&] { CHECK(!can_connect("fd91::2", 80)); });
  CHECK(net::detach(config6(folder, 2), kFirst).ok());
  CHECK(net::detach(beside(other_folder), kThird).ok());
  CHECK(sysctl(kForwarding) == "1");
}

TEST_CASE("an internal network has no way out over IPv6, whatever routes a container makes") {
  HostNamespace host;
  TemporaryFolder folder;
  sys::Fd first = make_namespace();
  sys::Fd world = make_namespace();
  connect_outside(world.get());
  REQUIRE(net::write_sysctl(kForwarding, "1").ok());
  auto vault = config6(folder, 2);
  vault.internal = true;
  auto one = net::attach(vault, kFirst, first.get());  // with the route
  REQUIRE(one.ok());
  Server outside(world.get(), "fd99::2", 82, serve_peer_address);
  in_namespace(world.get(), [&] {
    // So that an answer would come back without masquerading.
    give_address("world0", "fd91::99/64");
  });
  in_namespace(first.get(), [&] {
    CHECK(has_default_route());
    CHECK(!can_connect("fd99::2", 82));
  });
  CHECK(net::detach(vault, kFirst).ok());
}

TEST_CASE("IPv4 alone beside it, and addresses that do not belong together") {
  HostNamespace host;
  TemporaryFolder folder;
  TemporaryFolder other_folder;
  sys::Fd inside = make_namespace();
  auto plain = config(other_folder, 2, "dinghy1");
  plain.number = 1;
  plain.subnet = "10.92.0.0/16";
  plain.gateway = "10.92.0.1";
  plain.address = "10.92.0.2/16";
  plain.default_route = false;
  auto one = net::attach(config6(folder, 2), kFirst, inside.get());
  auto two = net::attach(plain, kFirst, inside.get());
  REQUIRE((one.ok() && two.ok()));
  in_namespace(inside.get(), [] {
    CHECK(sysctl("/proc/sys/net/ipv6/conf/eth0/disable_ipv6") == "0");
    CHECK(sysctl("/proc/sys/net/ipv6/conf/eth1/disable_ipv6") == "1");
  });
  CHECK(net::detach(plain, kFirst).ok());
  CHECK(net::detach(config6(folder, 2), kFirst).ok());
  for (const auto& [gateway, address] :
       {std::pair("fd91::1", ""), std::pair("", "fd91::2/64"), std::pair("fd92::1", "fd91::2/64"),
        std::pair("fd91::1", "fd91::2/48"), std::pair("10.91.0.1", "fd91::2/64"), std::pair("fd91::1", "fd91::2")}) {
    auto bad = config6(folder, 2);
    bad.gateway6 = gateway;
    bad.address6 = address;
    CHECK(!net::attach(bad, kFirst, inside.get()).ok());
  }
  CHECK(links().empty());
}
