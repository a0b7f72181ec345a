// The veth pair of one container: made with one sendmsg on the host's side and configured with one inside.
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "net/bridge.h"
#include "net/direct_ports.h"
#include "net/forwarding.h"
#include "net/links.h"
#include "net/namespace.h"
#include "net/network.h"
#include "net/rules.h"
#include "sys/small_file.h"

namespace net {
namespace {

constexpr std::string_view kLetters = "y0123456789abcdefghijklmnopqrstuvwxz";
static_assert(kLetters.size() == kMaxInterfaces);
constexpr int kLoopbackIndex = 1;  // the kernel's LOOPBACK_IFINDEX: in every namespace

std::string inside_name(const Config& config) { return "eth" + std::to_string(config.number); }

// Both ends exist and are down; the container's is born in its namespace: a move afterwards would cost an RCU grace
// period.
sys::Result<void> create_pair(Netlink& host, const Config& config, const std::string& name, const Link& bridge,
                              const Mac& mac, int netns) {
  Batch batch;
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  batch.begin("create veth", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header);
  batch.attribute(IFLA_IFNAME, name);
  batch.number(IFLA_MASTER, bridge.index);
  if (config.mtu != 0) batch.number(IFLA_MTU, config.mtu);
  std::size_t info = batch.open(IFLA_LINKINFO);
  batch.attribute(IFLA_INFO_KIND, "veth");
  std::size_t data = batch.open(IFLA_INFO_DATA);
  std::size_t peer = batch.open(VETH_INFO_PEER);
  batch.append(&header, sizeof header);
  batch.attribute(IFLA_IFNAME, inside_name(config));
  batch.attribute(IFLA_ADDRESS, mac.data(), mac.size());
  if (config.mtu != 0) batch.number(IFLA_MTU, config.mtu);
  batch.number(IFLA_NET_NS_FD, netns);
  batch.close(peer);
  batch.close(data);
  batch.close(info);
  begin_set_link(batch, "configure veth", name, false);
  without_ipv6_address(batch);
  return host.talk(batch);
}

// The bridge comes last: it takes its carrier from its ports.
sys::Result<void> bring_up(Netlink& host, const std::string& name, const Link& bridge) {
  Batch batch;
  begin_set_link(batch, "veth up", name, true);
  if (!bridge.is_up) begin_set_link(batch, "bridge up", bridge.index, true);
  return host.talk(batch);
}

// The veth exists as a port of the existing bridge. The caller holds the lock, but `clean` removes bridges without it:
// then once more.
sys::Result<Link> plug_in(Netlink& host, const Config& config, const Addresses& addresses, const std::string& name,
                          int netns) {
  for (int attempt = 1;; attempt++) {
    auto bridge = ensure_bridge(host, config, addresses);
    if (!bridge) {
      (void)remove_unused_bridge(host, config.bridge);
      return bridge;
    }
    auto made = create_pair(host, config, name, *bridge, addresses.mac, netns);
    if (made) return bridge;
    // EEXIST is another container's veth of this name (or a second attach of this one): it is not ours to remove.
    if (made.failure().err != EEXIST) (void)delete_link(host, name);
    auto present = find_link(host, config.bridge);
    if (attempt < 3 && present && !*present) continue;
    (void)remove_unused_bridge(host, config.bridge);
    return made.take_failure();
  }
}

sys::Result<int> index_of(const Netlink& socket, std::string_view name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  if (ioctl(socket.fd(), SIOCGIFINDEX, &request) != 0) return sys::errno_error("find interface", std::string(name));
  return request.ifr_ifindex;
}

// For interfaces made from now on. On a network that is IPv4 alone there shall be no link-local address, and nowhere a
// router that another container pretends to be. (lo is older and keeps ::1.) Set as the default, not on the interface,
// because that would wait for the kernel's RTNL lock by spinning.
sys::Result<void> prepare_ipv6(bool wanted) {
  const auto set = [](const char* path, const char* value) -> sys::Result<void> {
    auto written = write_sysctl(path, value);
    return written || written.failure().err != ENOENT ? written : sys::Result<void>();
  };
  SYS_TRY(set("/proc/sys/net/ipv6/conf/default/disable_ipv6", wanted ? "0" : "1"));
  if (!wanted) return {};
  SYS_TRY(set("/proc/sys/net/ipv6/conf/default/accept_ra", "0"));
  return set("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
}

// A socket of the container's namespace.
sys::Result<Netlink> open_inside(int netns, bool ipv6) {
  sys::Result<Netlink> socket = sys::error("enter network namespace", "");
  SYS_TRY(in_namespace(netns, [&]() -> sys::Result<void> {
    SYS_TRY(prepare_ipv6(ipv6));
    socket = Netlink::create(NETLINK_ROUTE);
    return {};
  }));
  return socket;
}

void add_default_route(Batch& batch, std::uint32_t gateway, int index) {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_BOOT;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  batch.begin("default route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, route);
  batch.number(RTA_GATEWAY, gateway);
  batch.number(RTA_OIF, index);
}

void add_default_route6(Batch& batch, const Bytes6& gateway, int index) {
  rtmsg route{};
  route.rtm_family = AF_INET6;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_BOOT;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  batch.begin("default route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, route);
  batch.attribute(RTA_GATEWAY, gateway.data(), gateway.size());
  batch.number(RTA_OIF, index);
}

// Turning it on is not ours: a host that forwards IPv6 believes no router any more, and may lose its own way out.
// Without it a default route would only make programs wait which could have used IPv4.
bool host_forwards_ipv6() {
  const auto value = sys::read_file("/proc/sys/net/ipv6/conf/all/forwarding", 16);
  return value && !value->empty() && value->front() != '0';
}

void lead_out_by(Batch& batch, const Addresses& addresses, int index) {
  add_default_route(batch, addresses.gateway.address, index);
  if (addresses.gateway6 && host_forwards_ipv6()) add_default_route6(batch, addresses.gateway6->address, index);
}

sys::Result<void> configure_inside(Netlink& socket, const Config& config, const Addresses& addresses) {
  auto index = index_of(socket, inside_name(config));
  if (!index) return index.take_failure();
  Batch batch;
  begin_set_link(batch, "lo up", kLoopbackIndex, true);
  ifaddrmsg address{};
  address.ifa_family = AF_INET;
  address.ifa_prefixlen = addresses.container.prefix;
  address.ifa_index = static_cast<unsigned>(*index);
  batch.begin("container address", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address);
  batch.number(IFA_LOCAL, addresses.container.address);
  batch.number(IFA_ADDRESS, addresses.container.address);
  batch.number(IFA_BROADCAST, addresses.container.broadcast());
  begin_set_link(batch, "interface up", *index, true);
  if (addresses.container6) add_address6(batch, "container address", *index, *addresses.container6);
  if (config.default_route) lead_out_by(batch, addresses, *index);
  return socket.talk(batch);
}

}  // namespace

std::string link_name(std::string_view id, unsigned number) {
  return std::string("dg") + kLetters[number % kMaxInterfaces] + std::string(id.substr(0, 12));
}

sys::Result<std::string> attach_link(const Config& config, std::string_view id, int netns) {
  auto addresses = parse_addresses(config);
  if (!addresses) return addresses.take_failure();
  auto host = Netlink::create(NETLINK_ROUTE);
  if (!host) return host.take_failure();
  auto inside = open_inside(netns, addresses->container6.has_value());
  if (!inside) return inside.take_failure();
  std::string name = link_name(id, config.number);
  auto lock = lock_network(config.lock);
  if (!lock) return lock.take_failure();
  auto bridge = plug_in(*host, config, *addresses, name, netns);
  if (!bridge) return bridge.take_failure();
  lock->reset();  // the bridge has a port: it stays

  auto configured = configure_inside(*inside, config, *addresses);
  if (configured) configured = bring_up(*host, name, *bridge);
  if (!configured) {
    (void)detach(config, id);
    return configured.take_failure();
  }
  return name;
}

sys::Result<void> lead_out(const Config& config, int netns) {
  auto addresses = parse_addresses(config);
  if (!addresses) return addresses.take_failure();
  auto inside = open_inside(netns, addresses->container6.has_value());
  if (!inside) return inside.take_failure();
  auto index = index_of(*inside, inside_name(config));
  if (!index) return index.take_failure();
  Batch batch;
  lead_out_by(batch, *addresses, *index);
  return inside->talk(batch);
}

sys::Result<sys::Fd> add_rules(const Config& config, std::string_view id, const std::vector<Port>& bound) {
  auto addresses = parse_addresses(config);
  if (!addresses) return addresses.take_failure();
  RuleAddresses address{addresses->container.address, {}};
  if (addresses->container6) address.six = addresses->container6->address;
  if (has_direct_ports(bound) && allow_loopback_source(config.bridge)) {
    auto rules = hold_rules(config, address, id, bound);
    // A kernel without nft_fib says ENOENT: the forwarder serves the host's clients too.
    if (rules || rules.failure().err != ENOENT) return rules;
  }
  return hold_rules(config, address, id, {});
}

sys::Result<sys::Fd> add_port_rules(const Config& config, std::string_view id, const std::vector<Port>& bound) {
  auto addresses = parse_addresses(config);
  if (!addresses) return addresses.take_failure();
  if (!has_direct_ports(bound) || !allow_loopback_source(config.bridge)) return sys::Fd();
  auto rules = hold_port_rules(addresses->container.address, id, bound);
  if (!rules && rules.failure().err == ENOENT) return sys::Fd();  // no nft_fib, as above
  return rules;
}

sys::Result<Attachment> attach(const Config& config, std::string_view id, int netns, const std::vector<Port>& bound) {
  auto link = attach_link(config, id, netns);
  if (!link) return link.take_failure();
  auto rules = add_rules(config, id, bound);
  if (!rules) {
    (void)detach(config, id);
    return rules.take_failure();
  }
  return Attachment{std::move(*link), std::move(*rules)};
}

sys::Result<void> detach(const Config& config, std::string_view id) {
  auto lock = lock_network(config.lock);
  // Where the network's folder is gone already, nobody can be making a bridge for it.
  if (!lock && lock.failure().err != ENOENT) return lock.take_failure();
  auto host = Netlink::create(NETLINK_ROUTE);
  if (!host) return host.take_failure();
  std::string name = link_name(id, config.number);
  auto bridge = find_link(*host, config.bridge);
  if (!bridge) return bridge.take_failure();
  if (!*bridge || !is_our_bridge(**bridge)) return delete_link(*host, name);
  auto ports = list_links(*host, (*bridge)->index);
  if (!ports) return ports.take_failure();
  bool others = std::any_of(ports->begin(), ports->end(), [&](const Link& port) { return port.name != name; });
  return others ? delete_link(*host, name) : delete_bridge(*host, **bridge, name);
}

}  // namespace net
