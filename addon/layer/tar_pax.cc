#include "layer/tar_pax.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace layer {
namespace {

// More than any file system holds on one inode; it bounds the search for a duplicate.
constexpr size_t kMaxXattrs = 1024;
constexpr std::string_view kSchilyXattr = "SCHILY.xattr.";
constexpr std::string_view kLibarchiveXattr = "LIBARCHIVE.xattr.";

sys::Error bad(std::string_view what) { return sys::error("read tar", "extended header: " + std::string(what)); }

// "[-]seconds[.fraction]", truncated to nanoseconds, towards the past for negative ones.
bool parse_time(std::string_view text, Time& time) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t dot = text.find('.');
  uint64_t seconds = 0;
  if (!parse_decimal(text.substr(0, dot), seconds)) return false;
  uint32_t nanoseconds = 0;
  if (dot != std::string_view::npos) {
    uint32_t unit = 100'000'000;
    for (const char c : text.substr(dot + 1)) {
      if (c < '0' || c > '9') return false;
      nanoseconds += static_cast<uint32_t>(c - '0') * unit;
      unit /= 10;
    }
  }
  time = {static_cast<int64_t>(seconds), nanoseconds};
  if (negative) {
    time.seconds = -time.seconds;
    if (nanoseconds > 0) time = {time.seconds - 1, 1'000'000'000 - nanoseconds};
  }
  return true;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool url_decode(std::string_view text, std::string& out) {
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    if (at + 2 >= text.size()) return false;
    const int high = hex_digit(text[at + 1]);
    const int low = hex_digit(text[at + 2]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high << 4 | low);
    at += 2;
  }
  return true;
}

// libarchive omits the padding.
bool base64_decode(std::string_view text, std::string& out) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return false;
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xffffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xff);
    }
  }
  return true;
}

class Parser {
 public:
  sys::Result<void> record(std::string_view key, std::string_view value) {
    if (key == "path") return text(pax_.path, key, value);
    if (key == "linkpath") return text(pax_.link, key, value);
    if (key == "size") return number(pax_.size, key, value);
    if (key == "uid") return number(pax_.uid, key, value);
    if (key == "gid") return number(pax_.gid, key, value);
    if (key == "mtime") return time(pax_.modified, key, value);
    if (key == "atime") return time(pax_.accessed, key, value);
    if (key.starts_with(kSchilyXattr)) return xattr(std::string(key.substr(kSchilyXattr.size())), std::string(value));
    if (key.starts_with(kLibarchiveXattr)) return libarchive_xattr(key.substr(kLibarchiveXattr.size()), value);
    if (key.starts_with("GNU.sparse.")) return sparse(key.substr(strlen("GNU.sparse.")), value);
    return {};
  }

  sys::Result<Pax> done() {
    if (offset_) return bad("GNU.sparse.offset without numbytes");
    return std::move(pax_);
  }

 private:
  static sys::Result<void> text(std::optional<std::string>& slot, std::string_view key, std::string_view value) {
    // A NUL would make us and other readers see different names.
    if (value.find('\0') != std::string_view::npos) return bad("NUL in " + std::string(key));
    slot = value.empty() ? std::nullopt : std::optional<std::string>(value);
    return {};
  }

  static sys::Result<void> number(std::optional<uint64_t>& slot, std::string_view key, std::string_view value) {
    slot.reset();
    uint64_t parsed = 0;
    if (value.empty()) return {};
    if (!parse_decimal(value, parsed)) return bad(std::string(key) + " is no number in range");
    slot = parsed;
    return {};
  }

  static sys::Result<void> time(std::optional<Time>& slot, std::string_view key, std::string_view value) {
    slot.reset();
    Time parsed;
    if (value.empty()) return {};
    if (!parse_time(value, parsed)) return bad(std::string(key) + " is no time");
    slot = parsed;
    return {};
  }

  sys::Result<void> xattr(std::string name, std::string value) {
    if (name.empty() || name.find('\0') != std::string::npos) return bad("broken attribute name");
    const auto same = [&name](const Xattr& other) { return other.name == name; };
    const auto found = std::find_if(pax_.xattrs.begin(), pax_.xattrs.end(), same);
    if (found != pax_.xattrs.end()) {
      found->value = std::move(value);
    } else if (pax_.xattrs.size() == kMaxXattrs) {
      return sys::error("limit", "over " + std::to_string(kMaxXattrs) + " extended attributes on one entry");
    } else {
      pax_.xattrs.push_back({std::move(name), std::move(value)});
    }
    return {};
  }

  sys::Result<void> libarchive_xattr(std::string_view key, std::string_view value) {
    std::string name;
    std::string decoded;
    if (!url_decode(key, name) || !base64_decode(value, decoded)) return bad("broken LIBARCHIVE.xattr");
    return xattr(std::move(name), std::move(decoded));
  }

  sys::Result<void> sparse(std::string_view key, std::string_view value) {
    uint64_t number = 0;
    if (key == "name") {
      SYS_TRY(text(pax_.sparse_name, "GNU.sparse.name", value));
    } else if (key == "map") {
      SYS_TRY(map(value));
    } else if (!parse_decimal(value, number)) {
      return bad("GNU.sparse." + std::string(key) + " is no number in range");
    } else if (key == "major") {
      if (number > 1) return bad("unknown sparse format " + std::string(value));
      pax_.map_in_data = number == 1;
    } else if (key == "minor") {
      if (number > 1) return bad("unknown sparse format");
    } else if (key == "size" || key == "realsize") {
      pax_.real_size = number;
    } else if (key == "offset") {
      if (offset_) return bad("GNU.sparse.offset twice");
      offset_ = number;
    } else if (key == "numbytes") {
      if (!offset_) return bad("GNU.sparse.numbytes without offset");
      pax_.segments.push_back({*offset_, number});
      offset_.reset();
    }
    pax_.sparse = true;
    return {};
  }

  sys::Result<void> map(std::string_view text) {
    pax_.segments.clear();
    std::vector<uint64_t> numbers;
    while (true) {
      const size_t comma = text.find(',');
      uint64_t number = 0;
      if (!parse_decimal(text.substr(0, comma), number)) return bad("broken GNU.sparse.map");
      numbers.push_back(number);
      if (comma == std::string_view::npos) break;
      text.remove_prefix(comma + 1);
    }
    if (numbers.size() % 2 != 0) return bad("broken GNU.sparse.map");
    for (size_t at = 0; at < numbers.size(); at += 2) pax_.segments.push_back({numbers[at], numbers[at + 1]});
    return {};
  }

  Pax pax_;
  std::optional<uint64_t> offset_;
};

}  // namespace

bool parse_decimal(std::string_view text, uint64_t& value) {
  if (text.empty()) return false;
  value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || value > (INT64_MAX - 9) / 10) return false;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

sys::Result<Pax> parse_pax(std::span<const uint8_t> records) {
  Parser parser;
  std::string_view rest(reinterpret_cast<const char*>(records.data()), records.size());
  // The data is padded to a block outside `records`; NULs inside it are written by some old tars and end the list.
  while (!rest.empty() && rest.front() != '\0') {
    // The length counts itself, and is what makes binary values possible: they may hold newlines and '='.
    const size_t space = rest.find(' ');
    uint64_t length = 0;
    if (space == std::string_view::npos || !parse_decimal(rest.substr(0, space), length))
      return bad("broken record length");
    if (length <= space + 1 || length > rest.size() || rest[length - 1] != '\n') return bad("broken record length");
    const std::string_view record = rest.substr(space + 1, length - space - 2);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) return bad("record without key");
    SYS_TRY(parser.record(record.substr(0, equals), record.substr(equals + 1)));
    rest.remove_prefix(length);
  }
  return parser.done();
}

}  // namespace layer
