// A container's network: a bridge on the host, a veth pair into the container's namespace, masquerading, published
// ports.
//
// Everything is done by netlink and system calls; no program of the host is run. All names made here are "dg" and 13
// more (veths) or carry the alias "dinghy" (bridges), so that what a killed supervisor left can be found and removed by
// anybody.
//
// The order in a container's life:
//   bind_ports      before anything is made: a taken port fails the start, and costs nothing
//   attach          while init waits in its fresh namespaces (jail::Point::kNamespaces)
//   start_forwarder when there are listeners
//   detach          at the end, after the forwarder was ended
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/helper.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

enum class Protocol : std::uint8_t { kTcp, kUdp };

// A published port. In a request `host_address` may be "" (0.0.0.0 and ::), "localhost" (127.0.0.1 and ::1) or one
// literal address, and `host_port` 0 means any free one. In a Listener both are concrete.
struct Port {
  std::string host_address;
  std::uint16_t host_port = 0;
  std::uint16_t container_port = 0;
  Protocol protocol = Protocol::kTcp;
};

// A container's place on one network, as `dinghy.network.endpoints` of config.json has it.
struct Config {
  unsigned number = 0;   // its interface is eth<number>: below kMaxInterfaces
  std::string bridge;    // the bridge's name, at most 15 bytes
  std::string lock;      // a file in the network's folder; flock'ed while bridge and veths are changed
  std::string subnet;    // CIDR, IPv4
  std::string gateway;   // the bridge's address
  std::string address;   // CIDR: the container's address with the subnet's prefix length
  std::string gateway6;  // the bridge's address on a network that has IPv6, too; else empty
  std::string address6;  // CIDR: the container's there
  std::string mac;
  std::uint32_t mtu = 0;      // of the bridge and both ends of the veth pair; 0: the kernel's own
  bool default_route = true;  // what has no other way leaves by the gateway
  bool internal = false;      // nothing gets from this network to another one, or comes from there
};

// As many as link_name() has letters for.
inline constexpr unsigned kMaxInterfaces = 36;

// --- the link -----------------------------------------------------------------------------------------------

// The host's end: "dgy" and 12 hex digits of the container id, exactly the 15 bytes that a link name may have. For
// eth1 and up the third letter is 0 to 9, a to x, z. (`linkName` in lib/network/endpoint.ts says the same.)
std::string link_name(std::string_view id, unsigned number = 0);

struct Attachment {
  std::string link;  // the host's end of the veth pair
  // Owns the nf_tables table "dinghy-<id12>", for eth1 and up "dinghy-<id12>-<number>": the table vanishes when this is
  // closed, however that happens.
  sys::Fd rules;
};

// The namespace `netns` (a descriptor of /proc/<pid>/ns/net) has lo and eth<number> up, with the address and, if it is
// to be, the default route; the other end is a port of the bridge, which exists and is up; what the container sends to
// the world is masqueraded; TCP connections of the host's own programs to the `bound` ports go to the container without
// a forwarder, where the kernel can do that. After a failure nothing of it remains. Needs CAP_NET_ADMIN, and
// CAP_SYS_ADMIN for a brief setns: the caller has one thread.
sys::Result<Attachment> attach(const Config& config, std::string_view id, int netns,
                               const std::vector<Port>& bound = {});

// The two halves of attach(): the veth alone (its host name is returned), and the rules alone. The first rules of a
// host cost 3 ms (the kernel patches its hooks in), which a caller may spend while init mounts its root. Before init
// runs anything of the container, both must be there.
sys::Result<std::string> attach_link(const Config& config, std::string_view id, int netns);
sys::Result<sys::Fd> add_rules(const Config& config, std::string_view id, const std::vector<Port>& bound = {});

// The same for ports that lead to a network which the namespace is attached to already: rules of their own, in the
// table "dinghy-<id12>-ports". An empty descriptor where there is nothing for the kernel to do.
sys::Result<sys::Fd> add_port_rules(const Config& config, std::string_view id, const std::vector<Port>& bound);

// The default route inside leads to the gateway of this network, to which the namespace is attached without one.
sys::Result<void> lead_out(const Config& config, int netns);

// The veth is gone, and if it was the bridge's last port, the bridge too, and net.ipv4.ip_forward is what it was before
// the first bridge. Idempotent. The rules go when Attachment::rules is closed.
sys::Result<void> detach(const Config& config, std::string_view id);

// The named links are gone, where they are ours (others, and missing ones, are passed over); of bridges only those
// without a port. For `clean`.
sys::Result<void> clean_links(const std::vector<std::string>& names);

// The names of what clean_links() could remove from `bridge`: veths on it of containers not in `living_ids`, and the
// bridge itself when those are all its ports.
sys::Result<std::vector<std::string>> stale_links(std::string_view bridge, const std::vector<std::string>& living_ids);

// --- published ports ----------------------------------------------------------------------------------------

// One listening (TCP) or bound (UDP) socket, non-blocking and close-on-exec; `port` is what it is really bound to.
struct Listener {
  sys::Fd fd;
  Port port;
};

// Every requested port is reserved: one listener for each address, one number on IPv4 and IPv6 (where the host has
// IPv6). An Error of step "bind port" names host:port and, where it can be known, the process that holds it.
sys::Result<std::vector<Listener>> bind_ports(const std::vector<Port>& ports);

// A helper process forwards the listeners to `address` (IPv4, without prefix length). On its control it sends one byte:
// 'p' accepting is paused (all connections in use), 'r' it goes on. The caller closes its copies of the listeners and
// reaps the pid.
sys::Result<Helper> start_forwarder(const std::vector<Listener>& listeners, std::string_view address);

// The body of that child, and of the `forward` mode: returns an exit code once `control` has come to its end.
int forward_mode(const std::vector<Listener>& listeners, std::string_view address, int control);

}  // namespace net
