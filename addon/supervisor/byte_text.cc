#include "supervisor/byte_text.h"

#include <array>
#include <cstdio>

namespace supervisor {
namespace {

// How many bytes from `at` are one well-formed UTF-8 character; 0 if they are none.
size_t character_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t index) -> unsigned {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0;
  };
  const auto follows = [&](size_t index, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(index) >= low && byte(index) <= high;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return follows(at + 1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool second = lead == 0xe0   ? follows(at + 1, 0xa0)
                        : lead == 0xed ? follows(at + 1, 0x80, 0x9f)
                                       : follows(at + 1);
    return second && follows(at + 2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = lead == 0xf0   ? follows(at + 1, 0x90)
                        : lead == 0xf4 ? follows(at + 1, 0x80, 0x8f)
                                       : follows(at + 1);
    return second && follows(at + 2) && follows(at + 3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

void append_name(std::string& json, std::string_view name) {
  json += '"';
  for (size_t at = 0; at < name.size();) {
    const size_t length = character_length(name, at);
    const auto byte = static_cast<unsigned char>(name[at]);
    std::array<char, 8> escape{};
    if (length == 0) {
      std::snprintf(escape.data(), escape.size(), "\\udc%02x", byte);
      json += escape.data();
    } else if (byte < 0x20 || byte == '"' || byte == '\\') {
      std::snprintf(escape.data(), escape.size(), "\\u%04x", byte);
      json += escape.data();
    } else {
      json.append(name, at, length);
    }
    at += length == 0 ? 1 : length;
  }
  json += '"';
}

std::string byte_array(const std::vector<std::string>& texts) {
  std::string json = "[";
  for (const std::string& text : texts) {
    if (json.size() > 1) json += ',';
    append_name(json, text);
  }
  return json + "]";
}

}  // namespace supervisor
