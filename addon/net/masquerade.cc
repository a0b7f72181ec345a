#include "net/masquerade.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv4.h>

#include <string>

#include "net/nf_tables.h"

namespace net {
namespace {

// NF_CT_STATE_BIT(IP_CT_ESTABLISHED) and (IP_CT_RELATED), which the kernel's header does not export.
constexpr std::uint32_t kEstablishedOrRelated = 1U << (IP_CT_ESTABLISHED + 1) | 1U << (IP_CT_RELATED + 1);

}  // namespace

sys::Result<sys::Fd> masquerade(std::string_view bridge, std::uint32_t address, std::string_view id) {
  RuleTransaction rules("dinghy-" + std::string(id.substr(0, 12)));
  rules.table();

  rules.chain("postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC);
  rules.begin_rule("postrouting");
  rules.match_address(kSourceOffset, address);
  rules.match_other_interface(NFT_META_OIFNAME, bridge);
  rules.masquerade();
  rules.end_rule();

  // The host routes only because of us: without this its neighbours, and the containers of other networks, could route
  // to any port of the container, published or not.
  rules.chain("forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER);
  rules.begin_rule("forward");
  rules.match_address(kDestinationOffset, address);
  rules.match_other_interface(NFT_META_IIFNAME, bridge);
  rules.match_no_state(kEstablishedOrRelated);
  rules.drop();
  rules.end_rule();

  return rules.commit();
}

}  // namespace net
