#include "net/address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace net {

std::uint32_t Cidr::mask() const { return prefix == 0 ? 0 : htonl(~std::uint32_t{0} << (32 - prefix)); }

std::uint32_t Cidr::broadcast() const { return address | ~mask(); }

std::optional<std::uint32_t> parse_address(std::string_view text) {
  // inet_pton, unlike inet_aton, takes neither octal nor short forms; both have made filters see another address than
  // the kernel.
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return address.s_addr;
}

namespace {

// What stands behind the slash, and before it.
struct Halves {
  std::string address;
  std::uint8_t prefix = 0;
};

std::optional<Halves> split(std::string_view text, std::uint8_t longest) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::string_view digits = text.substr(slash + 1);
  std::uint8_t prefix = 0;
  auto [end, problem] = std::from_chars(digits.begin(), digits.end(), prefix);
  if (problem != std::errc() || end != digits.end() || prefix > longest) return std::nullopt;
  return Halves{std::string(text.substr(0, slash)), prefix};
}

}  // namespace

std::optional<Cidr> parse_cidr(std::string_view text) {
  const auto halves = split(text, 32);
  const auto address = halves ? parse_address(halves->address) : std::nullopt;
  if (!address) return std::nullopt;
  return Cidr{*address, halves->prefix};
}

std::optional<Cidr6> parse_cidr6(std::string_view text) {
  const auto halves = split(text, 128);
  Cidr6 cidr;
  if (!halves || inet_pton(AF_INET6, halves->address.c_str(), cidr.address.data()) != 1) return std::nullopt;
  cidr.prefix = halves->prefix;
  return cidr;
}

std::optional<Mac> parse_mac(std::string_view text) {
  Mac mac{};
  if (text.size() != 17) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); i++) {
    std::string_view digits = text.substr(i * 3, 2);
    auto [end, problem] = std::from_chars(digits.begin(), digits.end(), mac[i], 16);
    if (problem != std::errc() || end != digits.end()) return std::nullopt;
    if (i < 5 && text[i * 3 + 2] != ':') return std::nullopt;
  }
  return mac;
}

std::string to_string(std::uint32_t address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  return inet_ntop(AF_INET, &address, text.data(), text.size()) ? text.data() : "";
}

Mac mac_of(std::uint32_t address) {
  Mac mac{0x02, 0xd1};
  std::memcpy(mac.data() + 2, &address, sizeof address);
  return mac;
}

}  // namespace net
