#include "net/masquerade.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>
#include <net/if.h>

#include <array>
#include <cstring>
#include <string>

#include "net/netlink.h"

namespace net {
namespace {

constexpr std::uint32_t kSourceOffset = 12;  // of the IPv4 header (RFC 791, 3.1)
constexpr std::uint32_t kDestinationOffset = 16;
// NF_CT_STATE_BIT(IP_CT_ESTABLISHED) and (IP_CT_RELATED), which the kernel's header does not export.
constexpr std::uint32_t kEstablishedOrRelated = 1U << (IP_CT_ESTABLISHED + 1) | 1U << (IP_CT_RELATED + 1);

// Builds one nf_tables transaction. Numbers are big-endian there, unlike in the rest of netlink.
class Transaction {
 public:
  explicit Transaction(std::string table) : table_(std::move(table)) { control(NFNL_MSG_BATCH_BEGIN); }

  void table(std::uint32_t flags) {
    begin("create nf_tables table", NFT_MSG_NEWTABLE);
    batch_.attribute(NFTA_TABLE_NAME, table_);
    big_endian(NFTA_TABLE_FLAGS, flags);
  }

  void chain(const char* name, const char* type, std::uint32_t hook, int priority) {
    begin("create nf_tables chain", NFT_MSG_NEWCHAIN);
    batch_.attribute(NFTA_CHAIN_TABLE, table_);
    batch_.attribute(NFTA_CHAIN_NAME, name);
    std::size_t mark = batch_.open(NFTA_CHAIN_HOOK);
    big_endian(NFTA_HOOK_HOOKNUM, hook);
    big_endian(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(priority));
    batch_.close(mark);
    batch_.attribute(NFTA_CHAIN_TYPE, type);
    big_endian(NFTA_CHAIN_POLICY, NF_ACCEPT);
  }

  void begin_rule(const char* chain) {
    begin("create nf_tables rule", NFT_MSG_NEWRULE);
    batch_.attribute(NFTA_RULE_TABLE, table_);
    batch_.attribute(NFTA_RULE_CHAIN, chain);
    expressions_ = batch_.open(NFTA_RULE_EXPRESSIONS);
  }
  void end_rule() { batch_.close(expressions_); }

  // The rule goes on if the packet's address at `offset` is this one.
  void match_address(std::uint32_t offset, std::uint32_t address) {
    Marks marks = begin_expression("payload");
    big_endian(NFTA_PAYLOAD_DREG, NFT_REG_1);
    big_endian(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    big_endian(NFTA_PAYLOAD_OFFSET, offset);
    big_endian(NFTA_PAYLOAD_LEN, sizeof address);
    end_expression(marks);
    compare(NFT_CMP_EQ, &address, sizeof address);
  }

  // The rule goes on if the interface (NFT_META_IIFNAME, NFT_META_OIFNAME) is another one.
  void match_other_interface(nft_meta_keys key, std::string_view name) {
    Marks marks = begin_expression("meta");
    big_endian(NFTA_META_DREG, NFT_REG_1);
    big_endian(NFTA_META_KEY, key);
    end_expression(marks);
    std::array<char, IFNAMSIZ> padded{};
    std::memcpy(padded.data(), name.data(), name.size());
    compare(NFT_CMP_NEQ, padded.data(), padded.size());
  }

  // The rule goes on if the packet's connection has none of the states.
  void match_no_state(std::uint32_t states) {
    Marks marks = begin_expression("ct");
    big_endian(NFTA_CT_DREG, NFT_REG_1);
    big_endian(NFTA_CT_KEY, NFT_CT_STATE);
    end_expression(marks);
    marks = begin_expression("bitwise");
    big_endian(NFTA_BITWISE_SREG, NFT_REG_1);
    big_endian(NFTA_BITWISE_DREG, NFT_REG_1);
    big_endian(NFTA_BITWISE_LEN, sizeof states);
    std::uint32_t zero = 0;
    value(NFTA_BITWISE_MASK, &states, sizeof states);
    value(NFTA_BITWISE_XOR, &zero, sizeof zero);
    end_expression(marks);
    compare(NFT_CMP_EQ, &zero, sizeof zero);
  }

  void masquerade() { end_expression(begin_expression("masq")); }

  void drop() {
    Marks marks = begin_expression("immediate");
    big_endian(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    std::size_t data = batch_.open(NFTA_IMMEDIATE_DATA);
    std::size_t verdict = batch_.open(NFTA_DATA_VERDICT);
    big_endian(NFTA_VERDICT_CODE, NF_DROP);
    batch_.close(verdict);
    batch_.close(data);
    end_expression(marks);
  }

  Batch& commit() {
    control(NFNL_MSG_BATCH_END);
    return batch_;
  }

 private:
  struct Marks {
    std::size_t element, data;
  };

  void control(std::uint16_t type) {
    nfgenmsg header{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)};
    batch_.begin("nf_tables transaction", type, 0, header);
  }
  void begin(const char* step, std::uint16_t type) {
    nfgenmsg header{NFPROTO_IPV4, NFNETLINK_V0, 0};
    batch_.begin(step, static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type),
                 NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, header);
  }
  void big_endian(std::uint16_t type, std::uint32_t number) { batch_.number(type, htonl(number)); }
  void value(std::uint16_t type, const void* data, std::size_t size) {
    std::size_t mark = batch_.open(type);
    batch_.attribute(NFTA_DATA_VALUE, data, size);
    batch_.close(mark);
  }
  Marks begin_expression(const char* name) {
    Marks marks{batch_.open(NFTA_LIST_ELEM), 0};
    batch_.attribute(NFTA_EXPR_NAME, name);
    marks.data = batch_.open(NFTA_EXPR_DATA);
    return marks;
  }
  void end_expression(Marks marks) {
    batch_.close(marks.data);
    batch_.close(marks.element);
  }
  void compare(nft_cmp_ops operation, const void* data, std::size_t size) {
    Marks marks = begin_expression("cmp");
    big_endian(NFTA_CMP_SREG, NFT_REG_1);
    big_endian(NFTA_CMP_OP, operation);
    value(NFTA_CMP_DATA, data, size);
    end_expression(marks);
  }

  std::string table_;
  Batch batch_;
  std::size_t expressions_ = 0;
};

}  // namespace

sys::Result<sys::Fd> masquerade(std::string_view bridge, std::uint32_t address, std::string_view id) {
  auto socket = Netlink::create(NETLINK_NETFILTER);
  if (!socket) return socket.take_failure();
  Transaction rules("dinghy-" + std::string(id.substr(0, 12)));
  rules.table(NFT_TABLE_F_OWNER);

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

  auto result = socket->talk(rules.commit());
  if (!result) {
    auto failure = result.take_failure();
    if (failure.err == EOPNOTSUPP || failure.err == EPROTONOSUPPORT || failure.err == ENOENT) {
      failure.message = "the kernel's nf_tables is missing or older than 5.12: " + failure.message;
    }
    return failure;
  }
  return socket->take_fd();
}

}  // namespace net
