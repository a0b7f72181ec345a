#include "net/direct_ports.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "net/address.h"
#include "net/forwarding.h"

namespace net {
namespace {

constexpr std::uint32_t kLoopbackNetwork = INADDR_LOOPBACK & IN_CLASSA_NET;

bool is_direct(const Port& port) {
  return port.protocol == Protocol::kTcp && parse_address(port.host_address).has_value();
}

}  // namespace

bool has_direct_ports(const std::vector<Port>& ports) { return std::any_of(ports.begin(), ports.end(), is_direct); }

void add_direct_ports(RuleTransaction& rules, const std::vector<Port>& ports, std::uint32_t address) {
  rules.chain("output", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST);
  for (const Port& port : ports) {
    if (!is_direct(port)) continue;
    const std::uint32_t listener = *parse_address(port.host_address);
    rules.begin_rule("output");
    rules.match_destination_port(IPPROTO_TCP, port.host_port);
    if (listener == INADDR_ANY) {
      rules.match_local_destination();
    } else {
      rules.match_address(kDestinationOffset, listener);
    }
    rules.redirect(address, port.container_port);
    rules.end_rule();
  }
  // 127.0.0.1 means itself to the container: it has to see an address that it can answer.
  rules.begin_rule("postrouting");
  rules.match_network(kSourceOffset, htonl(kLoopbackNetwork), htonl(IN_CLASSA_NET));
  rules.match_address(kDestinationOffset, address);
  rules.masquerade();
  rules.end_rule();
}

void guard_loopback(RuleTransaction& rules, std::string_view bridge) {
  // Before connection tracking, which puts 127.0.0.1 back into the answers.
  rules.chain("raw", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW);
  rules.begin_rule("raw");
  rules.match_network(kDestinationOffset, htonl(kLoopbackNetwork), htonl(IN_CLASSA_NET));
  rules.match_interface(NFT_META_IIFNAME, bridge);
  rules.drop();
  rules.end_rule();
}

sys::Result<void> allow_loopback_source(std::string_view bridge) {
  const std::string path = "/proc/sys/net/ipv4/conf/" + std::string(bridge) + "/route_localnet";
  return write_sysctl(path.c_str(), "1");
}

}  // namespace net
