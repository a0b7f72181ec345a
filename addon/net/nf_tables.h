// Packet rules, as one nf_tables transaction: all of them are in force when it was taken, or none.
#pragma once

#include <linux/netfilter/nf_tables.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/address.h"
#include "net/netlink.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

constexpr std::uint32_t kSourceOffset = 12;  // of the IPv4 header (RFC 791, 3.1)
constexpr std::uint32_t kDestinationOffset = 16;
constexpr std::uint32_t kSourceOffset6 = 8;  // of the IPv6 header (RFC 8200, 3)
constexpr std::uint32_t kDestinationOffset6 = 24;

// Builds one transaction about one table, or two of one name, of the families ip and ip6. Each match_… is a condition
// on the rule that is being made.
class RuleTransaction {
 public:
  explicit RuleTransaction(std::string table);

  // The table is made, owned by the socket that commits: it vanishes with it, and nobody else can change it.
  void table();
  // What follows is about the table of this name of the family ip6.
  void turn_to_ipv6();
  void chain(const char* name, const char* type, std::uint32_t hook, int priority);
  void begin_rule(const char* chain);
  void end_rule() { batch_.close(expressions_); }

  // The packet's address at `offset` is this one (network byte order).
  void match_address(std::uint32_t offset, std::uint32_t address);
  void match_address(std::uint32_t offset, const Bytes6& address);
  // The packet's address at `offset` is in this network (network byte order both).
  void match_network(std::uint32_t offset, std::uint32_t network, std::uint32_t mask);
  // The packet goes to an address of this host (of any interface).
  void match_local_destination();
  // The interface (NFT_META_IIFNAME, NFT_META_OIFNAME) is this one, another one.
  void match_interface(nft_meta_keys key, std::string_view name);
  void match_other_interface(nft_meta_keys key, std::string_view name);
  // The packet's connection has none of the states.
  void match_no_state(std::uint32_t states);
  // The packet is of this protocol (IPPROTO_UDP, IPPROTO_TCP) and goes to this port.
  void match_destination_port(std::uint8_t protocol, std::uint16_t port);

  void masquerade() { end_expression(begin_expression("masq")); }
  void drop();
  // The connection goes to this address (network byte order) and port instead.
  void redirect(std::uint32_t address, std::uint16_t port);

  // The rules are in force in the present network namespace for as long as the descriptor is open.
  sys::Result<sys::Fd> commit();

 private:
  struct Marks {
    std::size_t element, data;
  };
  void control(std::uint16_t type);
  void begin(const char* step, std::uint16_t type);
  void big_endian(std::uint16_t type, std::uint32_t number);
  void value(std::uint16_t type, const void* data, std::size_t size);
  Marks begin_expression(const char* name);
  void end_expression(Marks marks);
  void load(nft_meta_keys key);
  void load(nft_payload_bases base, std::uint32_t offset, std::uint32_t size);
  void compare(nft_cmp_ops operation, const void* data, std::size_t size);
  void compare_interface(nft_cmp_ops operation, nft_meta_keys key, std::string_view name);
  void mask(std::uint32_t bits);
  void immediate(nft_registers where, const void* data, std::size_t size);

  std::string table_;
  std::uint8_t family_;
  Batch batch_;
  std::size_t expressions_ = 0;
};

}  // namespace net
