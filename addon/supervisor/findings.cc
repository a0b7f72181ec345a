#include "supervisor/findings.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "supervisor/handshake.h"
#include "sys/bytes.h"

namespace supervisor {
namespace {

constexpr int kInputFd = 0;
constexpr size_t kPartSize = kMaxPayload / 4;
constexpr size_t kReadSize = 65536;

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

void Findings::names(const char* key, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    begin();
    append_name(items_, name);
    flush_if_large(key);
  }
  flush(key);
}

void Findings::links(const std::vector<layer::LowerLink>& links) {
  for (const layer::LowerLink& link : links) {
    begin();
    items_ += "{\"path\":";
    append_name(items_, link.path);
    items_ += ",\"target\":";
    append_name(items_, link.target);
    items_ += '}';
    flush_if_large("lowerLinks");
  }
  flush("lowerLinks");
}

void Findings::begin() {
  if (!items_.empty()) items_ += ',';
}

void Findings::flush_if_large(const char* key) {
  if (items_.size() >= kPartSize) flush(key);
}

void Findings::flush(const char* key) {
  if (items_.empty()) return;
  const std::string event = std::string(R"({"event":"found",")") + key + "\":[" + items_ + "]}";
  (void)sys::write_all(kControlFd, encode_frame(FrameType::kEvent, event)).ok();
  items_.clear();
}

sys::Result<ReadFindings> read_findings() {
  ReadFindings found;
  std::string input;
  std::string data(kReadSize, '\0');
  for (;;) {
    const ssize_t size = read(kInputFd, data.data(), data.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return sys::errno_error("read findings");
    if (size == 0) break;
    input.append(data, 0, static_cast<size_t>(size));
  }
  if (!input.empty() && input.back() != '\0') return sys::error("read findings", "they end in the middle", EPROTO);
  size_t at = 0;
  const auto next = [&] {
    std::string text(input.c_str() + at);
    at += text.size() + 1;
    return text;
  };
  while (at < input.size()) {
    const std::string text = next();
    const std::string path = text.empty() ? std::string() : text.substr(1);
    if (text.rfind('i', 0) == 0) {
      found.implicit.push_back(path);
    } else if (text.rfind('w', 0) == 0) {
      found.whiteouts.push_back(path);
    } else if (text.rfind('l', 0) == 0 && at < input.size()) {
      found.lower_links.push_back({path, next()});
    } else {
      return sys::error("read findings", "they are not of this protocol", EPROTO);
    }
  }
  return found;
}

}  // namespace supervisor
