#include "net/rules.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv4.h>

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

void masquerade(RuleTransaction& rules, const Config& config, std::uint32_t address) {
  rules.begin_rule("postrouting");
  rules.match_address(kSourceOffset, address);
  rules.match_other_interface(NFT_META_OIFNAME, config.bridge);
  rules.masquerade();
  rules.end_rule();
}

// The host routes only because of us: without this its neighbours, and the containers of other networks, could route
// to any port of the container, published or not.
void keep_others_out(RuleTransaction& rules, const Config& config, std::uint32_t address) {
  rules.begin_rule("forward");
  rules.match_address(kDestinationOffset, address);
  rules.match_other_interface(NFT_META_IIFNAME, config.bridge);
  if (!config.internal) rules.match_no_state(kEstablishedOrRelated);
  rules.drop();
  rules.end_rule();
}

// Without a default route nothing is sent that way, but a container that may change its routes can make one.
void keep_inside(RuleTransaction& rules, const Config& config, std::uint32_t address) {
  rules.begin_rule("forward");
  rules.match_address(kSourceOffset, address);
  rules.match_other_interface(NFT_META_OIFNAME, config.bridge);
  rules.drop();
  rules.end_rule();
}

}  // namespace

sys::Result<sys::Fd> hold_rules(const Config& config, std::uint32_t address, std::string_view id,
                                const std::vector<Port>& ports) {
  RuleTransaction rules(table_name(config, id));
  rules.table();
  guard_loopback(rules, config.bridge);
  rules.chain("postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC);
  if (has_direct_ports(ports)) add_direct_ports(rules, ports, address);
  if (!config.internal) masquerade(rules, config, address);
  rules.chain("forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER);
  keep_others_out(rules, config, address);
  if (config.internal) keep_inside(rules, config, address);

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
