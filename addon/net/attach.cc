// The veth pair of one container: made with one sendmsg on the host's side and configured with one inside.
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "net/bridge.h"
#include "net/forwarding.h"
#include "net/links.h"
#include "net/masquerade.h"
#include "net/network.h"

namespace net {
namespace {

constexpr std::string_view kInside = "eth0";
constexpr int kLoopbackIndex = 1;  // the kernel's LOOPBACK_IFINDEX: in every namespace

// Runs `work` with the thread in another network namespace. A caller that cannot come back would go on in the
// container's network, as if it were the host's: then it ends instead.
sys::Result<void> in_namespace(int netns, const std::function<sys::Result<void>()>& work) {
  sys::Fd home(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) return sys::errno_error("open network namespace", "/proc/self/ns/net");
  if (setns(netns, CLONE_NEWNET) != 0) return sys::errno_error("enter network namespace");
  auto result = work();
  if (setns(home.get(), CLONE_NEWNET) != 0) abort();
  return result;
}

sys::Result<void> create_pair(Netlink& host, const std::string& name, int bridge, const Mac& mac, int netns) {
  Batch batch;
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  batch.begin("create veth", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header);
  batch.attribute(IFLA_IFNAME, name);
  batch.number(IFLA_MASTER, bridge);
  std::size_t info = batch.open(IFLA_LINKINFO);
  batch.attribute(IFLA_INFO_KIND, "veth");
  std::size_t data = batch.open(IFLA_INFO_DATA);
  std::size_t peer = batch.open(VETH_INFO_PEER);
  batch.append(&header, sizeof header);
  batch.attribute(IFLA_IFNAME, kInside);
  batch.attribute(IFLA_ADDRESS, mac.data(), mac.size());
  batch.number(IFLA_NET_NS_FD, netns);  // born there: the move afterwards would cost an RCU grace period
  batch.close(peer);
  batch.close(data);
  batch.close(info);
  begin_set_link(batch, "configure veth", name, false);
  without_ipv6_address(batch);
  begin_set_link(batch, "veth up", name, true);
  return host.talk(batch);
}

// The veth exists as a port of the existing bridge. The caller holds the lock, but `clean` removes bridges without it:
// then once more.
sys::Result<void> plug_in(Netlink& host, const Config& config, const Addresses& addresses, const std::string& name,
                          int netns) {
  for (int attempt = 1;; attempt++) {
    auto bridge = ensure_bridge(host, config, addresses);
    auto made =
        bridge ? create_pair(host, name, *bridge, addresses.mac, netns) : sys::Result<void>(bridge.take_failure());
    if (made) return made;
    // EEXIST is another container's veth of this name (or a second attach of this one): it is not ours to remove.
    if (made.failure().err != EEXIST) (void)delete_link(host, name);
    auto present = find_link(host, config.bridge);
    if (attempt < 3 && present && !*present) continue;
    (void)remove_unused_bridge(host, config.bridge);
    return made;
  }
}

sys::Result<int> index_of(const Netlink& socket, std::string_view name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  if (ioctl(socket.fd(), SIOCGIFINDEX, &request) != 0) return sys::errno_error("find eth0");
  return request.ifr_ifindex;
}

sys::Result<void> configure_inside(const Addresses& addresses) {
  auto socket = Netlink::create(NETLINK_ROUTE);
  if (!socket) return socket.take_failure();
  auto index = index_of(*socket, kInside);
  if (!index) return index.take_failure();
  // The network is IPv4: no link-local address, and no router that another container pretends to be.
  auto written = write_sysctl("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1");
  if (!written && written.failure().err != ENOENT) return written;

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
  begin_set_link(batch, "eth0 up", *index, true);
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_BOOT;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  batch.begin("default route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, route);
  batch.number(RTA_GATEWAY, addresses.gateway.address);
  return socket->talk(batch);
}

}  // namespace

std::string link_name(std::string_view id) { return "dgy" + std::string(id.substr(0, 12)); }

sys::Result<void> bring_up_loopback(int netns) {
  return in_namespace(netns, []() -> sys::Result<void> {
    auto socket = Netlink::create(NETLINK_ROUTE);
    if (!socket) return socket.take_failure();
    Batch batch;
    begin_set_link(batch, "lo up", kLoopbackIndex, true);
    return socket->talk(batch);
  });
}

sys::Result<Attachment> attach(const Config& config, std::string_view id, int netns) {
  auto addresses = parse_addresses(config);
  if (!addresses) return addresses.take_failure();
  auto host = Netlink::create(NETLINK_ROUTE);
  if (!host) return host.take_failure();
  Attachment attachment;
  attachment.link = link_name(id);
  {
    auto lock = lock_network(config.lock);
    if (!lock) return lock.take_failure();
    SYS_TRY(plug_in(*host, config, *addresses, attachment.link, netns));
  }
  auto inside = in_namespace(netns, [&] { return configure_inside(*addresses); });
  auto rules = inside ? masquerade(config.bridge, addresses->container.address, id)
                      : sys::Result<sys::Fd>(inside.take_failure());
  if (!rules) {
    (void)detach(config, id);
    return rules.take_failure();
  }
  attachment.rules = std::move(*rules);
  return attachment;
}

sys::Result<void> detach(const Config& config, std::string_view id) {
  auto lock = lock_network(config.lock);
  // Where the network's folder is gone already, nobody can be making a bridge for it.
  if (!lock && lock.failure().err != ENOENT) return lock.take_failure();
  auto host = Netlink::create(NETLINK_ROUTE);
  if (!host) return host.take_failure();
  SYS_TRY(delete_link(*host, link_name(id)));
  return remove_unused_bridge(*host, config.bridge);
}

}  // namespace net
