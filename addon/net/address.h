// Addresses, networks and hardware addresses as text and as the bytes that netlink takes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace net {

struct Cidr {
  std::uint32_t address;  // network byte order, as every 32-bit address here
  std::uint8_t prefix;

  [[nodiscard]] std::uint32_t mask() const;       // network byte order
  [[nodiscard]] std::uint32_t broadcast() const;  // network byte order
};

// An IPv6 address, in network byte order.
using Bytes6 = std::array<std::uint8_t, 16>;

struct Cidr6 {
  Bytes6 address{};
  std::uint8_t prefix = 0;
};

using Mac = std::array<std::uint8_t, 6>;

// Dotted decimal with four parts; nothing else (no octal, no "10.1").
std::optional<std::uint32_t> parse_address(std::string_view text);
// "10.1.2.3/16".
std::optional<Cidr> parse_cidr(std::string_view text);
// "fd12::5/64".
std::optional<Cidr6> parse_cidr6(std::string_view text);
// "02:aa:bb:cc:dd:ee".
std::optional<Mac> parse_mac(std::string_view text);
std::string to_string(std::uint32_t address);

// A locally administered unicast address that carries the IPv4 address: unique on a bridge because the address is, and
// the same after a restart.
Mac mac_of(std::uint32_t address);

}  // namespace net
