// Addresses of either family, as bytes, as text, and as what system calls take.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace net {

struct Address {
  int family = AF_INET;                  // or AF_INET6
  std::array<std::uint8_t, 16> bytes{};  // in network order; of IPv4 the first four

  [[nodiscard]] std::size_t size() const { return family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr); }
  [[nodiscard]] std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), size()}; }
  bool operator==(const Address& other) const { return family == other.family && bytes == other.bytes; }
  // An order, for containers; it says nothing.
  bool operator<(const Address& other) const { return std::tie(family, bytes) < std::tie(other.family, other.bytes); }
};

// An address without prefix length, brackets or zone.
std::optional<Address> parse_any_address(std::string_view text);

// What connect(2) and bind(2) take.
struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
  bool operator==(const Endpoint& other) const;
};

Endpoint endpoint_of(const Address& address, std::uint16_t port);

// As a resolver's configuration writes it: an IPv6 address may have a zone, "fe80::1%eth0", which is looked up among
// the links of the present network namespace.
std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t port);

}  // namespace net
