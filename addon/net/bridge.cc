#include "net/bridge.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/file.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "net/forwarding.h"
#include "net/links.h"

namespace net {
namespace {

constexpr std::uint8_t kPrefix6 = 64;

sys::Error invalid(const char* what, const std::string& value) {
  return sys::error("network", std::string(what) + " is not valid: " + value, EINVAL);
}

sys::Result<void> create_bridge(Netlink& socket, const std::string& name, std::uint32_t gateway, std::uint32_t mtu) {
  Batch batch;
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  batch.begin("create bridge", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header);
  batch.attribute(IFLA_IFNAME, name);
  // A bridge without an address of its own takes that of its lowest port, and changes it as ports come and go: every
  // container's neighbour cache would be wrong each time.
  Mac mac = mac_of(gateway);
  batch.attribute(IFLA_ADDRESS, mac.data(), mac.size());
  if (mtu != 0) batch.number(IFLA_MTU, mtu);
  std::size_t info = batch.open(IFLA_LINKINFO);
  batch.attribute(IFLA_INFO_KIND, "bridge");
  batch.close(info);
  // Whoever takes down another bridge must not see this one before its mark, which is a message of its own: taking it
  // for a stranger's, he would leave forwarding on, and nobody would remember why.
  const sys::Fd lock = lock_forwarding();
  // In the same sendmsg, which a kill does not interrupt: there is never a bridge of ours without its mark.
  begin_set_link(batch, "mark bridge", name, false);
  batch.attribute(IFLA_IFALIAS, kBridgeAlias.data(), kBridgeAlias.size());
  without_ipv6_address(batch);
  return socket.talk(batch);
}

sys::Result<void> add_gateway(Netlink& socket, int index, Cidr gateway) {
  Batch batch;
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = gateway.prefix;
  header.ifa_index = static_cast<unsigned>(index);
  batch.begin("gateway address", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, header);
  batch.number(IFA_LOCAL, gateway.address);
  batch.number(IFA_ADDRESS, gateway.address);
  batch.number(IFA_BROADCAST, gateway.broadcast());
  auto result = socket.talk(batch);
  if (!result && result.failure().err != EEXIST) return result;
  return {};
}

sys::Result<void> add_gateway6(Netlink& socket, const std::string& bridge, int index, const Cidr6& gateway) {
  // A host may have it off by default. Without IPv6 in the kernel there is no such file.
  const std::string disable = "/proc/sys/net/ipv6/conf/" + bridge + "/disable_ipv6";
  SYS_TRY(write_sysctl(disable.c_str(), "0"));
  Batch batch;
  add_address6(batch, "gateway address", index, gateway, NLM_F_ACK);
  auto result = socket.talk(batch);
  if (!result && result.failure().err != EEXIST) return result;
  return {};
}

bool same_network(const Cidr6& one, const Cidr6& other) {
  return one.prefix == kPrefix6 && other.prefix == kPrefix6 &&
         std::memcmp(one.address.data(), other.address.data(), kPrefix6 / 8) == 0;
}

// Both or none.
sys::Result<void> parse_addresses6(const Config& config, Addresses& addresses) {
  if (config.address6.empty() && config.gateway6.empty()) return {};
  addresses.container6 = parse_cidr6(config.address6);
  if (!addresses.container6) return invalid("IPv6 address", config.address6);
  addresses.gateway6 = parse_cidr6(config.gateway6 + "/" + std::to_string(kPrefix6));
  if (!addresses.gateway6 || !same_network(*addresses.container6, *addresses.gateway6)) {
    return invalid("IPv6 gateway", config.gateway6);
  }
  return {};
}

}  // namespace

void add_address6(Batch& batch, const char* step, int index, const Cidr6& address, unsigned flags) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_prefixlen = address.prefix;
  // Nobody else can have it: without this it would be tentative, and of no use, for 1.85 s.
  header.ifa_flags = IFA_F_NODAD;
  header.ifa_index = static_cast<unsigned>(index);
  batch.begin(step, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | flags, header);
  batch.attribute(IFA_LOCAL, address.address.data(), address.address.size());
  batch.attribute(IFA_ADDRESS, address.address.data(), address.address.size());
}

sys::Result<Addresses> parse_addresses(const Config& config) {
  auto subnet = parse_cidr(config.subnet);
  if (!subnet || subnet->prefix > 30) return invalid("subnet", config.subnet);
  auto inside = [&](std::uint32_t address) { return ((address ^ subnet->address) & subnet->mask()) == 0; };
  auto gateway = parse_address(config.gateway);
  if (!gateway || !inside(*gateway)) return invalid("gateway", config.gateway);
  auto container = parse_cidr(config.address);
  if (!container || !inside(container->address) || container->address == *gateway ||
      container->prefix != subnet->prefix) {
    return invalid("address", config.address);
  }
  auto mac = parse_mac(config.mac);
  if (!mac || ((*mac)[0] & 1) != 0) return invalid("mac", config.mac);
  if (config.bridge.empty() || config.bridge.size() >= IFNAMSIZ || config.bridge.find('/') != std::string::npos) {
    return invalid("bridge", config.bridge);
  }
  if (config.number >= kMaxInterfaces) return invalid("interface number", std::to_string(config.number));
  Addresses addresses{*container, Cidr{*gateway, subnet->prefix}, *mac, {}, {}};
  SYS_TRY(parse_addresses6(config, addresses));
  return addresses;
}

sys::Result<sys::Fd> lock_network(const std::string& path) {
  sys::Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return sys::errno_error("lock network", path);
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return sys::errno_error("lock network", path);
  }
  return fd;
}

sys::Result<Link> ensure_bridge(Netlink& socket, const Config& config, const Addresses& addresses) {
  auto link = find_link(socket, config.bridge);
  if (!link) return link.take_failure();
  if (!*link) {
    SYS_TRY(create_bridge(socket, config.bridge, addresses.gateway.address, config.mtu));
    link = find_link(socket, config.bridge);
    if (!link) return link.take_failure();
  }
  if (!*link || !is_our_bridge(**link)) {
    return sys::error("create bridge", "a link named " + config.bridge + " is there and is not a bridge of ours",
                      EEXIST);
  }
  if (!(*link)->is_up) {
    // Not only at creation: the creator may have been killed before it came here.
    std::string accept_ra = "/proc/sys/net/ipv6/conf/" + config.bridge + "/accept_ra";
    auto written =
        write_sysctl(accept_ra.c_str(), "0");  // a container must not become the host's router (CVE-2020-13401)
    if (!written && written.failure().err != ENOENT) return written.take_failure();
  }
  SYS_TRY(add_gateway(socket, (*link)->index, addresses.gateway));
  if (addresses.gateway6) SYS_TRY(add_gateway6(socket, config.bridge, (*link)->index, *addresses.gateway6));
  SYS_TRY(enable_forwarding(socket, config.bridge));
  return **link;
}

sys::Result<void> remove_unused_bridge(Netlink& socket, const std::string& name) {
  auto link = find_link(socket, name);
  if (!link) return link.take_failure();
  if (!*link || !is_our_bridge(**link)) return {};
  auto ports = list_links(socket, (*link)->index);
  if (!ports) return ports.take_failure();
  if (!ports->empty()) return {};
  return delete_bridge(socket, **link);
}

}  // namespace net
