#include "net/rules.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>

#include <string>

#include "net/direct_ports.h"
#include "net/nf_tables.h"

namespace net {
namespace {

// NF_CT_STATE_BIT(IP_CT_ESTABLISHED) and (IP_CT_RELATED), which the kernel's header does not export.
constexpr std::uint32_t kEstablishedOrRelated = 1U << (IP_CT_ESTABLISHED + 1) | 1U << (IP_CT_RELATED + 1);

std::string table_name(std::string_view id) { return "dinghy-" + std::string(id.substr(0, 12)); }

std::string table_name(const Config& config, std::string_view id) {
  const std::string name = table_name(id);
  return config.number == 0 ? name : name + "-" + std::to_string(config.number);
}

// Both families: the same rules for an address and its places in the header.
template <class Bytes>
struct Match {
  Bytes address;
  std::uint32_t source, destination;
};

template <class Bytes>
void masquerade(RuleTransaction& rules, const Config& config, const Match<Bytes>& match) {
  rules.begin_rule("postrouting");
  rules.match_address(match.source, match.address);
  rules.match_other_interface(NFT_META_OIFNAME, config.bridge);
  rules.masquerade();
  rules.end_rule();
}

// The host routes only because of us: without this its neighbours, and the containers of other networks, could route
// to any port of the container, published or not.
template <class Bytes>
void keep_others_out(RuleTransaction& rules, const Config& config, const Match<Bytes>& match) {
  rules.begin_rule("forward");
  rules.match_address(match.destination, match.address);
  rules.match_other_interface(NFT_META_IIFNAME, config.bridge);
  if (!config.internal) rules.match_no_state(kEstablishedOrRelated);
  rules.drop();
  rules.end_rule();
}

// Without a default route nothing is sent that way, but a container that may change its routes can make one.
template <class Bytes>
void keep_inside(RuleTransaction& rules, const Config& config, const Match<Bytes>& match) {
  rules.begin_rule("forward");
  rules.match_address(match.source, match.address);
  rules.match_other_interface(NFT_META_OIFNAME, config.bridge);
  rules.drop();
  rules.end_rule();
}

// `postrouting` is there.
template <class Bytes>
void guard(RuleTransaction& rules, const Config& config, const Match<Bytes>& match) {
  if (!config.internal) masquerade(rules, config, match);
  rules.chain("forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER);
  keep_others_out(rules, config, match);
  if (config.internal) keep_inside(rules, config, match);
}

}  // namespace

sys::Result<sys::Fd> hold_rules(const Config& config, const RuleAddresses& addresses, std::string_view id,
                                const std::vector<Port>& ports) {
  RuleTransaction rules(table_name(config, id));
  rules.table();
  guard_loopback(rules, config.bridge);
  rules.chain("postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC);
  if (has_direct_ports(ports)) add_direct_ports(rules, ports, addresses.four);
  guard(rules, config, Match<std::uint32_t>{addresses.four, kSourceOffset, kDestinationOffset});
  if (addresses.six) {
    rules.turn_to_ipv6();
    rules.table();
    rules.chain("postrouting", "nat", NF_INET_POST_ROUTING, NF_IP6_PRI_NAT_SRC);
    guard(rules, config, Match<Bytes6>{*addresses.six, kSourceOffset6, kDestinationOffset6});
  }
  return rules.commit();
}

sys::Result<sys::Fd> hold_port_rules(std::uint32_t address, std::string_view id, const std::vector<Port>& ports) {
  RuleTransaction rules(table_name(id) + "-ports");
  rules.table();
  rules.chain("postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC);
  add_direct_ports(rules, ports, address);
  return rules.commit();
}

}  // namespace net
