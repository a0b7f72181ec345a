#include <doctest/doctest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/veth.h>

#include <chrono>
#include <cstring>

#include "net/address.h"
#include "net/forwarding.h"
#include "net_support.h"

using namespace net_test;

namespace {

const std::string kFirst = "aaaaaaaaaaaa0000";
const std::string kSecond = "bbbbbbbbbbbb0000";
constexpr const char* kForward = "/proc/sys/net/ipv4/ip_forward";

int table_count() {
  auto socket = net::Netlink::create(NETLINK_NETFILTER);
  net::Batch batch;
  nfgenmsg header{AF_INET, NFNETLINK_V0, 0};
  batch.begin("tables", NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_DUMP, header);
  int count = 0;
  CHECK(socket->talk(batch, [&](const nlmsghdr&) { count++; }).ok());
  return count;
}

// A veth pair between the present namespace and `other`, with an address at each end: a piece of the world outside.
void connect_outside(int other, const char* here, const char* there) {
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
  auto configure = [](const char* name, const char* address) {
    auto inner = net::Netlink::create(NETLINK_ROUTE);
    auto link = net::find_link(*inner, name);
    REQUIRE((link.ok() && link->has_value()));
    net::Batch more;
    ifaddrmsg message{};
    message.ifa_family = AF_INET;
    message.ifa_prefixlen = 24;
    message.ifa_index = static_cast<unsigned>((*link)->index);
    more.begin("address", RTM_NEWADDR, NLM_F_CREATE, message);
    more.number(IFA_LOCAL, *net::parse_address(address));
    more.number(IFA_ADDRESS, *net::parse_address(address));
    net::begin_set_link(more, "up", name, true);
    REQUIRE(inner->talk(more).ok());
  };
  configure("outside0", here);
  in_namespace(other, [&] { configure("world0", there); });
}

void add_route(const char* network, const char* via) {
  auto socket = net::Netlink::create(NETLINK_ROUTE);
  auto cidr = net::parse_cidr(network);
  net::Batch batch;
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_dst_len = cidr->prefix;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_BOOT;
  route.rtm_type = RTN_UNICAST;
  batch.begin("route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, route);
  batch.number(RTA_DST, cidr->address);
  batch.number(RTA_GATEWAY, *net::parse_address(via));
  REQUIRE(socket->talk(batch).ok());
}

int mtu_of(const char* name) {
  const sys::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  strcpy(request.ifr_name, name);
  return ioctl(socket.get(), SIOCGIFMTU, &request) == 0 ? request.ifr_mtu : -1;
}

std::string ask(const char* address, std::uint16_t port) {
  sys::Fd connection = connect_to(address, port);
  return connection ? read_all(connection.get()) : strerror(errno);
}

}  // namespace

TEST_CASE("containers reach each other, the gateway and the world; the world does not reach them") {
  HostNamespace host;
  TemporaryFolder folder;
  sys::Fd first = make_namespace();
  sys::Fd second = make_namespace();
  sys::Fd world = make_namespace();
  in_namespace(world.get(), bring_up_loopback);
  connect_outside(world.get(), "192.0.2.1", "192.0.2.2");

  auto one = net::attach(config(folder, 2), kFirst, first.get());
  REQUIRE_MESSAGE(one.ok(), one.failure().step, " ", one.failure().err, " ", one.failure().message);
  CHECK(one->link == "dgyaaaaaaaaaaaa");
  // Before anything else: the very first packet must not wait for the bridge to notice its carrier.
  Server inside(first.get(), "10.91.0.2", 80, serve_peer_address);
  auto start = std::chrono::steady_clock::now();
  CHECK(ask("10.91.0.2", 80) == "10.91.0.1");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(100));

  auto two = net::attach(config(folder, 3), kSecond, second.get());
  REQUIRE(two.ok());
  Server gateway(host.fd(), "10.91.0.1", 81, serve_peer_address);
  Server outside(world.get(), "192.0.2.2", 82, serve_peer_address);
  in_namespace(second.get(), [&] {
    CHECK(ask("10.91.0.2", 80) == "10.91.0.3");
    CHECK(ask("10.91.0.1", 81) == "10.91.0.3");
    CHECK(ask("192.0.2.2", 82) == "192.0.2.1");  // masqueraded
    CHECK(sysctl("/proc/sys/net/ipv6/conf/eth0/disable_ipv6") == "1");
  });
  CHECK(sysctl("/proc/sys/net/ipv6/conf/dinghy0/accept_ra") == "0");

  // A neighbour that routes to the container's subnet by way of this host is turned away.
  in_namespace(world.get(), [&] {
    add_route("10.91.0.0/16", "192.0.2.1");
    sys::Fd refused = connect_to("10.91.0.2", 80, SOCK_STREAM, 1);
    CHECK(!refused);
  });

  CHECK(net::detach(config(folder, 2), kFirst).ok());
  CHECK(links() == "outside0 dinghy0 dgybbbbbbbbbbbb ");
  CHECK(net::detach(config(folder, 3), kSecond).ok());
  CHECK(net::detach(config(folder, 3), kSecond).ok());
  CHECK(links() == "outside0 ");
}

TEST_CASE("one namespace on two networks: interfaces, links, rules and mtu of each, and one default route") {
  HostNamespace host;
  TemporaryFolder folder;
  TemporaryFolder other_folder;
  sys::Fd inside = make_namespace();
  sys::Fd world = make_namespace();
  connect_outside(world.get(), "192.0.2.1", "192.0.2.2");
  auto front = config(folder, 2);
  auto vault = config(other_folder, 2, "dinghy1");
  vault.number = 1;
  vault.subnet = "10.92.0.0/16";
  vault.gateway = "10.92.0.1";
  vault.address = "10.92.0.2/16";
  vault.mtu = 1400;
  vault.default_route = false;
  vault.internal = true;
  auto one = net::attach(front, kFirst, inside.get());
  REQUIRE(one.ok());
  auto two = net::attach(vault, kFirst, inside.get());
  REQUIRE_MESSAGE(two.ok(), two.failure().step, " ", two.failure().err, " ", two.failure().message);
  CHECK(two->link == "dg0aaaaaaaaaaaa");
  CHECK(links() == "outside0 dinghy0 dgyaaaaaaaaaaaa dinghy1 dg0aaaaaaaaaaaa ");
  CHECK(table_count() == 2);
  CHECK(mtu_of("dinghy1") == 1400);
  CHECK(mtu_of("dg0aaaaaaaaaaaa") == 1400);
  in_namespace(inside.get(), [&] {
    CHECK(mtu_of("eth0") == 1500);
    CHECK(mtu_of("eth1") == 1400);
  });
  Server on_vault(inside.get(), "10.92.0.2", 80, serve_peer_address);
  CHECK(ask("10.92.0.2", 80) == "10.92.0.1");
  Server outside(world.get(), "192.0.2.2", 82, serve_peer_address);
  in_namespace(inside.get(), [&] { CHECK(ask("192.0.2.2", 82) == "192.0.2.1"); });

  // Each goes alone.
  two->rules.reset();
  CHECK(net::detach(vault, kFirst).ok());
  CHECK(links() == "outside0 dinghy0 dgyaaaaaaaaaaaa ");
  in_namespace(inside.get(), [&] { CHECK(ask("192.0.2.2", 82) == "192.0.2.1"); });
  CHECK(net::detach(front, kFirst).ok());
  auto too_many = vault;
  too_many.number = net::kMaxInterfaces;
  CHECK(!net::attach(too_many, kFirst, inside.get()).ok());
  CHECK(links() == "outside0 ");
}

TEST_CASE("the host's own clients reach a published port without a forwarder, and see it as any other") {
  HostNamespace host;
  TemporaryFolder folder;
  sys::Fd first = make_namespace();
  sys::Fd second = make_namespace();
  sys::Fd world = make_namespace();
  in_namespace(world.get(), bring_up_loopback);
  connect_outside(world.get(), "192.0.2.1", "192.0.2.2");
  const std::vector<net::Port> ports = {{"0.0.0.0", 8001, 80, net::Protocol::kTcp},
                                        {"127.0.0.1", 8002, 80, net::Protocol::kTcp},
                                        {"192.0.2.1", 8003, 80, net::Protocol::kTcp},
                                        {"::1", 8004, 80, net::Protocol::kTcp},
                                        {"0.0.0.0", 8005, 80, net::Protocol::kUdp}};
  auto one = net::attach(config(folder, 2), kFirst, first.get(), ports);
  REQUIRE_MESSAGE(one.ok(), one.failure().step, " ", one.failure().err, " ", one.failure().message);
  CHECK(ask("127.0.0.1", 8001) == "Connection refused");
  // A server is a child process, which has the descriptors that its maker had: rules end only after it.
  {
    Server inside(first.get(), "10.91.0.2", 80, serve_peer_address);
    CHECK(ask("127.0.0.1", 8001) == "10.91.0.1");  // 127.0.0.1 would be the container itself
    CHECK(ask("127.9.9.9", 8001) == "10.91.0.1");
    CHECK(ask("192.0.2.1", 8001) == "192.0.2.1");
    CHECK(ask("10.91.0.1", 8001) == "10.91.0.1");
    CHECK(ask("127.0.0.1", 8002) == "10.91.0.1");
    CHECK(ask("192.0.2.1", 8002) == "Connection refused");
    CHECK(ask("192.0.2.1", 8003) == "192.0.2.1");
    for (const std::uint16_t port : {8003, 8004, 8005}) CHECK(ask("127.0.0.1", port) == "Connection refused");
    // Another host's port of that number is nobody's business here.
    Server elsewhere(world.get(), "192.0.2.2", 8001, serve_peer_address);
    CHECK(ask("192.0.2.2", 8001) == "192.0.2.1");
  }
  // A second container has its own ports, and the first one's go with its rules.
  auto two = net::attach(config(folder, 3), kSecond, second.get(), {{"127.0.0.1", 9001, 80, net::Protocol::kTcp}});
  REQUIRE(two.ok());
  one->rules.reset();
  Server inside(first.get(), "10.91.0.2", 80, serve_peer_address);
  Server other(second.get(), "10.91.0.3", 80, serve_peer_address);
  CHECK(ask("10.91.0.2", 80) == "10.91.0.1");
  CHECK(ask("127.0.0.1", 8001) == "Connection refused");
  CHECK(ask("127.0.0.1", 9001) == "10.91.0.1");
}

TEST_CASE("a container does not reach what the host serves on 127.0.0.1 alone (CVE-2020-8558)") {
  HostNamespace host;
  TemporaryFolder folder;
  sys::Fd first = make_namespace();
  auto one = net::attach(config(folder, 2), kFirst, first.get(), {{"127.0.0.1", 8001, 80, net::Protocol::kTcp}});
  REQUIRE(one.ok());
  CHECK(sysctl("/proc/sys/net/ipv4/conf/dinghy0/route_localnet") == "1");
  in_namespace(first.get(), [&] {
    // As a container with CAP_NET_ADMIN can: 127.0.0.1 is no address of its own any more, but a host beyond the
    // gateway.
    REQUIRE(net::write_sysctl("/proc/sys/net/ipv4/conf/all/route_localnet", "1").ok());
    auto socket = net::Netlink::create(NETLINK_ROUTE);
    net::Batch batch;
    ifaddrmsg own{};
    own.ifa_family = AF_INET;
    own.ifa_prefixlen = 8;
    own.ifa_index = 1;
    batch.begin("delete 127.0.0.1", RTM_DELADDR, NLM_F_ACK, own);
    batch.number(IFA_LOCAL, htonl(INADDR_LOOPBACK));
    REQUIRE(socket->talk(batch).ok());
    add_route("127.0.0.0/8", "10.91.0.1");
  });
  {
    Server secret(host.fd(), "127.0.0.1", 81, serve_peer_address);
    in_namespace(first.get(), [&] { CHECK(!connect_to("127.0.0.1", 81, SOCK_STREAM, 1)); });
  }
  // So it is the rule that keeps it out.
  one->rules.reset();
  Server secret(host.fd(), "127.0.0.1", 81, serve_peer_address);
  in_namespace(first.get(), [&] { CHECK(ask("127.0.0.1", 81) == "10.91.0.2"); });
}

TEST_CASE("ip_forward is put back by the last bridge, across networks, and left on beside another engine's bridge") {
  HostNamespace host;
  TemporaryFolder folder;
  TemporaryFolder other_folder;
  REQUIRE(net::write_sysctl(kForward, "0").ok());
  sys::Fd first = make_namespace();
  sys::Fd second = make_namespace();
  auto here = config(folder, 2);
  auto there = config(other_folder, 3, "dinghy1");
  there.subnet = "10.92.0.0/16";
  there.gateway = "10.92.0.1";
  there.address = "10.92.0.3/16";
  REQUIRE(net::attach(here, kFirst, first.get()).ok());
  CHECK(sysctl(kForward) == "1");
  REQUIRE(net::attach(there, kSecond, second.get()).ok());
  CHECK(net::detach(here, kFirst).ok());
  CHECK(sysctl(kForward) == "1");
  CHECK(net::detach(there, kSecond).ok());
  CHECK(sysctl(kForward) == "0");

  sys::Fd third = make_namespace();
  REQUIRE(net::attach(here, kFirst, third.get()).ok());
  auto socket = net::Netlink::create(NETLINK_ROUTE);
  net::Batch batch;
  ifinfomsg header{};
  batch.begin("docker0", RTM_NEWLINK, NLM_F_CREATE, header);
  batch.attribute(IFLA_IFNAME, "docker0");
  auto info = batch.open(IFLA_LINKINFO);
  batch.attribute(IFLA_INFO_KIND, "bridge");
  batch.close(info);
  REQUIRE(socket->talk(batch).ok());
  CHECK(net::detach(here, kFirst).ok());
  CHECK(sysctl(kForward) == "1");
  CHECK(links() == "docker0 ");
}

TEST_CASE("the rules end with their descriptor") {
  HostNamespace host;
  TemporaryFolder folder;
  sys::Fd inside = make_namespace();
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  pid_t owner = fork_child();
  if (owner == 0) {
    auto attached = net::attach(config(folder, 2), kFirst, inside.get());
    check_or_abort(attached.ok() && write(ready[1], "x", 1) == 1);
    pause();
    _exit(0);
  }
  char byte = 0;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  CHECK(table_count() == 1);
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  CHECK(table_count() == 0);
  close(ready[0]);
  close(ready[1]);

  // What is left is found, and goes; a bridge in use stays.
  auto bridge_in_use = net::stale_links("dinghy0", {kFirst});
  REQUIRE(bridge_in_use.ok());
  CHECK(bridge_in_use->empty());
  CHECK(net::clean_links({"dinghy0", "lo", "missing"}).ok());
  CHECK(links() == "dinghy0 dgyaaaaaaaaaaaa ");
  auto stale = net::stale_links("dinghy0", {kSecond});
  REQUIRE(stale.ok());
  CHECK(*stale == std::vector<std::string>{"dgyaaaaaaaaaaaa", "dinghy0"});
  CHECK(net::clean_links(*stale).ok());
  CHECK(links().empty());
}

TEST_CASE("twenty rounds leave nothing") {
  HostNamespace host;
  TemporaryFolder folder;
  REQUIRE(net::write_sysctl(kForward, "0").ok());
  for (int round = 0; round < 20; round++) {
    sys::Fd inside = make_namespace();
    auto attached = net::attach(config(folder, 2), kFirst, inside.get());
    REQUIRE(attached.ok());
    attached->rules.reset();
    REQUIRE(net::detach(config(folder, 2), kFirst).ok());
  }
  CHECK(links().empty());
  CHECK(table_count() == 0);
  CHECK(sysctl(kForward) == "0");
}

TEST_CASE("a failed attach leaves nothing and says what failed") {
  HostNamespace host;
  TemporaryFolder folder;
  sys::Fd inside = make_namespace();
  auto bad = config(folder, 2);
  bad.address = "10.99.0.2/16";
  auto outside_subnet = net::attach(bad, kFirst, inside.get());
  REQUIRE(!outside_subnet.ok());
  CHECK(outside_subnet.failure().err == EINVAL);

  auto not_a_namespace = net::attach(config(folder, 2), kFirst, STDIN_FILENO);
  REQUIRE(!not_a_namespace.ok());
  CHECK(not_a_namespace.failure().step == "enter network namespace");
  CHECK(links().empty());

  // A second eth0 in the same namespace: the first stays whole.
  auto first = net::attach(config(folder, 2), kFirst, inside.get());
  REQUIRE(first.ok());
  auto again = net::attach(config(folder, 3), kSecond, inside.get());
  CHECK(!again.ok());
  CHECK(links() == "dinghy0 dgyaaaaaaaaaaaa ");

  auto foreign = config(folder, 4, "dgyaaaaaaaaaaaa");
  auto squatted = net::attach(foreign, kSecond, inside.get());
  REQUIRE(!squatted.ok());
  CHECK(squatted.failure().step == "create bridge");
  CHECK(net::detach(config(folder, 2), kFirst).ok());
  CHECK(links().empty());
}

// Five containers, one after the other, on a network of its own; returns the number of failures.
int come_and_go(int number) {
  TemporaryFolder folder;
  const std::string prefix = "10." + std::to_string(90 + number);
  auto mine = config(folder, 2, "dinghy" + std::to_string(number));
  mine.subnet = prefix + ".0.0/16";
  mine.gateway = prefix + ".0.1";
  mine.address = prefix + ".0.2/16";
  const std::string id = std::to_string(number) + kFirst;
  int failures = 0;
  for (int round = 0; round < 5; round++) {
    sys::Fd inside = make_namespace();
    failures += !net::attach_link(mine, id, inside.get()).ok();
    failures += sysctl(kForward) != "1";
    failures += !net::detach(mine, id).ok();
  }
  return failures;
}

TEST_CASE("networks that come and go at the same moment put ip_forward back") {
  HostNamespace host;
  REQUIRE(net::write_sysctl(kForward, "0").ok());
  std::vector<pid_t> children;
  for (int number = 1; number <= 3; number++) {
    pid_t child = fork_child();
    if (child == 0) _exit(come_and_go(number));
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  CHECK(links().empty());
  CHECK(sysctl(kForward) == "0");
}
