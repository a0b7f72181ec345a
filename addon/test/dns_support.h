// Questions as clients send them, and what answers say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/dns_message.h"
#include "net/endpoint.h"

namespace net_test {

inline void put16(std::string& message, unsigned number) {
  message += static_cast<char>(number >> 8);
  message += static_cast<char>(number & 0xff);
}

inline unsigned get16(std::string_view message, std::size_t offset) {
  return static_cast<std::uint8_t>(message[offset]) << 8 | static_cast<std::uint8_t>(message[offset + 1]);
}

inline std::string name_bytes(std::string_view name) {
  std::string bytes;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    bytes += static_cast<char>(label.size());
    bytes += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return bytes + '\0';
}

// A question, with EDNS when `udp_size` is not 0.
inline std::string query(std::string_view name, std::uint16_t type, unsigned udp_size = 0, unsigned id = 0x1234) {
  std::string message;
  put16(message, id);
  put16(message, 0x0100);
  put16(message, 1);
  put16(message, 0);
  put16(message, 0);
  put16(message, udp_size > 0 ? 1 : 0);
  message += name_bytes(name);
  put16(message, type);
  put16(message, net::dns::kInternet);
  if (udp_size == 0) return message;
  message += '\0';
  put16(message, net::dns::kOpt);
  put16(message, udp_size);
  return message + std::string(6, '\0');
}

inline bool is_truncated(std::string_view answer) { return (static_cast<std::uint8_t>(answer[2]) & 2) != 0; }

// What the records of an answer hold, of this type.
inline std::vector<std::string> records_in(std::string_view answer, std::uint16_t type) {
  std::vector<std::string> found;
  auto name = net::dns::read_name(answer, net::dns::kHeaderSize);
  if (!name) return found;
  std::size_t offset = name->end + 4;
  for (unsigned i = 0; i < get16(answer, 6); i++) {
    name = net::dns::read_name(answer, offset);
    if (!name || answer.size() < name->end + 10) return found;
    const std::size_t size = get16(answer, name->end + 8);
    if (get16(answer, name->end) == type) found.emplace_back(answer.substr(name->end + 10, size));
    offset = name->end + 10 + size;
  }
  return found;
}

// The addresses of its A records, as text.
inline std::vector<std::string> addresses_in(std::string_view answer) {
  std::vector<std::string> texts;
  for (const std::string& bytes : records_in(answer, net::dns::kA)) {
    std::string text;
    for (const char byte : bytes) {
      text += (text.empty() ? "" : ".") + std::to_string(static_cast<std::uint8_t>(byte));
    }
    texts.push_back(text);
  }
  return texts;
}

// The name in its first PTR record.
inline std::string pointer_in(std::string_view answer) {
  const auto found = records_in(answer, net::dns::kPtr);
  if (found.empty()) return {};
  const auto name = net::dns::read_name(std::string(net::dns::kHeaderSize, '\0') + found[0], net::dns::kHeaderSize);
  return name ? name->text : std::string();
}

}  // namespace net_test
