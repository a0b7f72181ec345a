#include "net/nf_tables.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace net {
namespace {

constexpr std::uint32_t kDestinationPortOffset = 2;  // of the UDP and the TCP header

}  // namespace

RuleTransaction::RuleTransaction(std::string table) : table_(std::move(table)), family_(NFPROTO_IPV4) {
  control(NFNL_MSG_BATCH_BEGIN);
}

void RuleTransaction::turn_to_ipv6() { family_ = NFPROTO_IPV6; }

void RuleTransaction::table() {
  begin("create nf_tables table", NFT_MSG_NEWTABLE);
  batch_.attribute(NFTA_TABLE_NAME, table_);
  big_endian(NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
}

void RuleTransaction::chain(const char* name, const char* type, std::uint32_t hook, int priority) {
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

void RuleTransaction::begin_rule(const char* chain) {
  begin("create nf_tables rule", NFT_MSG_NEWRULE);
  batch_.attribute(NFTA_RULE_TABLE, table_);
  batch_.attribute(NFTA_RULE_CHAIN, chain);
  expressions_ = batch_.open(NFTA_RULE_EXPRESSIONS);
}

void RuleTransaction::match_address(std::uint32_t offset, std::uint32_t address) {
  load(NFT_PAYLOAD_NETWORK_HEADER, offset, sizeof address);
  compare(NFT_CMP_EQ, &address, sizeof address);
}

void RuleTransaction::match_address(std::uint32_t offset, const Bytes6& address) {
  load(NFT_PAYLOAD_NETWORK_HEADER, offset, address.size());
  compare(NFT_CMP_EQ, address.data(), address.size());
}

void RuleTransaction::match_network(std::uint32_t offset, std::uint32_t network, std::uint32_t mask_bits) {
  load(NFT_PAYLOAD_NETWORK_HEADER, offset, sizeof network);
  mask(mask_bits);
  compare(NFT_CMP_EQ, &network, sizeof network);
}

void RuleTransaction::match_local_destination() {
  Marks marks = begin_expression("fib");
  big_endian(NFTA_FIB_DREG, NFT_REG_1);
  big_endian(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  big_endian(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
  end_expression(marks);
  const std::uint32_t local = RTN_LOCAL;
  compare(NFT_CMP_EQ, &local, sizeof local);
}

void RuleTransaction::match_interface(nft_meta_keys key, std::string_view name) {
  compare_interface(NFT_CMP_EQ, key, name);
}

void RuleTransaction::match_other_interface(nft_meta_keys key, std::string_view name) {
  compare_interface(NFT_CMP_NEQ, key, name);
}

void RuleTransaction::match_no_state(std::uint32_t states) {
  Marks marks = begin_expression("ct");
  big_endian(NFTA_CT_DREG, NFT_REG_1);
  big_endian(NFTA_CT_KEY, NFT_CT_STATE);
  end_expression(marks);
  mask(states);
  const std::uint32_t zero = 0;
  compare(NFT_CMP_EQ, &zero, sizeof zero);
}

void RuleTransaction::match_destination_port(std::uint8_t protocol, std::uint16_t port) {
  load(NFT_META_L4PROTO);
  compare(NFT_CMP_EQ, &protocol, sizeof protocol);
  load(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPortOffset, sizeof port);
  const std::uint16_t wanted = htons(port);
  compare(NFT_CMP_EQ, &wanted, sizeof wanted);
}

void RuleTransaction::drop() {
  Marks marks = begin_expression("immediate");
  big_endian(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  std::size_t data = batch_.open(NFTA_IMMEDIATE_DATA);
  std::size_t verdict = batch_.open(NFTA_DATA_VERDICT);
  big_endian(NFTA_VERDICT_CODE, NF_DROP);
  batch_.close(verdict);
  batch_.close(data);
  end_expression(marks);
}

void RuleTransaction::redirect(std::uint32_t address, std::uint16_t port) {
  const std::uint16_t wanted = htons(port);
  immediate(NFT_REG_1, &address, sizeof address);
  immediate(NFT_REG_2, &wanted, sizeof wanted);
  Marks marks = begin_expression("nat");
  big_endian(NFTA_NAT_TYPE, NFT_NAT_DNAT);
  big_endian(NFTA_NAT_FAMILY, NFPROTO_IPV4);
  big_endian(NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
  big_endian(NFTA_NAT_REG_PROTO_MIN, NFT_REG_2);
  end_expression(marks);
}

sys::Result<sys::Fd> RuleTransaction::commit() {
  auto socket = Netlink::create(NETLINK_NETFILTER);
  if (!socket) return socket.take_failure();
  control(NFNL_MSG_BATCH_END);
  auto result = socket->talk(batch_);
  if (!result) {
    auto failure = result.take_failure();
    if (failure.err == EOPNOTSUPP || failure.err == EPROTONOSUPPORT || failure.err == ENOENT) {
      failure.message = "the kernel's nf_tables is missing or older than 5.12: " + failure.message;
    }
    return failure;
  }
  return socket->take_fd();
}

void RuleTransaction::control(std::uint16_t type) {
  nfgenmsg header{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)};
  batch_.begin("nf_tables transaction", type, 0, header);
}

void RuleTransaction::begin(const char* step, std::uint16_t type) {
  nfgenmsg header{family_, NFNETLINK_V0, 0};
  batch_.begin(step, static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type),
               NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, header);
}

// Numbers are big-endian here, unlike in the rest of netlink.
void RuleTransaction::big_endian(std::uint16_t type, std::uint32_t number) { batch_.number(type, htonl(number)); }

void RuleTransaction::value(std::uint16_t type, const void* data, std::size_t size) {
  std::size_t mark = batch_.open(type);
  batch_.attribute(NFTA_DATA_VALUE, data, size);
  batch_.close(mark);
}

RuleTransaction::Marks RuleTransaction::begin_expression(const char* name) {
  Marks marks{batch_.open(NFTA_LIST_ELEM), 0};
  batch_.attribute(NFTA_EXPR_NAME, name);
  marks.data = batch_.open(NFTA_EXPR_DATA);
  return marks;
}

void RuleTransaction::end_expression(Marks marks) {
  batch_.close(marks.data);
  batch_.close(marks.element);
}

void RuleTransaction::load(nft_meta_keys key) {
  Marks marks = begin_expression("meta");
  big_endian(NFTA_META_DREG, NFT_REG_1);
  big_endian(NFTA_META_KEY, key);
  end_expression(marks);
}

void RuleTransaction::load(nft_payload_bases base, std::uint32_t offset, std::uint32_t size) {
  Marks marks = begin_expression("payload");
  big_endian(NFTA_PAYLOAD_DREG, NFT_REG_1);
  big_endian(NFTA_PAYLOAD_BASE, base);
  big_endian(NFTA_PAYLOAD_OFFSET, offset);
  big_endian(NFTA_PAYLOAD_LEN, size);
  end_expression(marks);
}

void RuleTransaction::compare(nft_cmp_ops operation, const void* data, std::size_t size) {
  Marks marks = begin_expression("cmp");
  big_endian(NFTA_CMP_SREG, NFT_REG_1);
  big_endian(NFTA_CMP_OP, operation);
  value(NFTA_CMP_DATA, data, size);
  end_expression(marks);
}

void RuleTransaction::compare_interface(nft_cmp_ops operation, nft_meta_keys key, std::string_view name) {
  load(key);
  std::array<char, IFNAMSIZ> padded{};
  std::memcpy(padded.data(), name.data(), name.size());
  compare(operation, padded.data(), padded.size());
}

void RuleTransaction::mask(std::uint32_t bits) {
  Marks marks = begin_expression("bitwise");
  big_endian(NFTA_BITWISE_SREG, NFT_REG_1);
  big_endian(NFTA_BITWISE_DREG, NFT_REG_1);
  big_endian(NFTA_BITWISE_LEN, sizeof bits);
  const std::uint32_t zero = 0;
  value(NFTA_BITWISE_MASK, &bits, sizeof bits);
  value(NFTA_BITWISE_XOR, &zero, sizeof zero);
  end_expression(marks);
}

void RuleTransaction::immediate(nft_registers where, const void* data, std::size_t size) {
  Marks marks = begin_expression("immediate");
  big_endian(NFTA_IMMEDIATE_DREG, where);
  value(NFTA_IMMEDIATE_DATA, data, size);
  end_expression(marks);
}

}  // namespace net
