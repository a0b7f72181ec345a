#include "net/endpoint.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <cstring>

namespace net {

std::optional<Address> parse_any_address(std::string_view text) {
  const std::string terminated(text);
  Address address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
  address.family = AF_INET6;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

bool Endpoint::operator==(const Endpoint& other) const {
  return size == other.size && std::memcmp(&storage, &other.storage, size) == 0;
}

Endpoint endpoint_of(const Address& address, std::uint16_t port) {
  Endpoint endpoint;
  if (address.family == AF_INET) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes.data(), sizeof v4.sin_addr);
    std::memcpy(&endpoint.storage, &v4, sizeof v4);
    endpoint.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes.data(), sizeof v6.sin6_addr);
    std::memcpy(&endpoint.storage, &v6, sizeof v6);
    endpoint.size = sizeof v6;
  }
  return endpoint;
}

std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t port) {
  const std::size_t zone = text.find('%');
  const auto address = parse_any_address(text.substr(0, zone));
  if (!address) return std::nullopt;
  Endpoint endpoint = endpoint_of(*address, port);
  if (zone == std::string_view::npos) return endpoint;
  const unsigned index = if_nametoindex(std::string(text.substr(zone + 1)).c_str());
  if (address->family != AF_INET6 || index == 0) return std::nullopt;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &endpoint.storage, sizeof v6);
  v6.sin6_scope_id = index;
  std::memcpy(&endpoint.storage, &v6, sizeof v6);
  return endpoint;
}

}  // namespace net
