#include "layer/name.h"

#include <cerrno>
#include <climits>
#include <vector>

namespace layer {
namespace {

constexpr std::string_view kPrefix = ".wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";
constexpr std::string_view kMetaPrefix = ".wh..wh.";
constexpr size_t kPrintableSize = 512;

bool is_aufs_bookkeeping(std::string_view component) {
  return component == ".wh..wh.aufs" || component == ".wh..wh.orph";
}

sys::Error refuse(std::string_view name, const char* why) {
  sys::Error failure = sys::error("extract", std::string("refused: ") + why, EINVAL);
  failure.path = printable(name);
  return failure;
}

// The length of the valid UTF-8 sequence at the front (RFC 3629), 0 if there is none.
size_t utf8_length(std::string_view text) {
  const auto byte = [text](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t at = 1; at < length; at++) {
    if ((byte(at) & 0xc0) != 0x80) return 0;
  }
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;  // overlong
  if (lead == 0xed && byte(1) > 0x9f) return 0;  // a surrogate
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

}  // namespace

sys::Result<std::string> clean_name(std::string_view name, size_t max_depth) {
  std::vector<std::string_view> components;
  std::string_view rest = name;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      if (!components.empty()) components.pop_back();
      continue;
    }
    if (component.size() > NAME_MAX) return sys::errno_error("extract", printable(name), ENAMETOOLONG);
    if (components.size() == max_depth) {
      sys::Error failure = sys::error("limit depth", "nested deeper than " + std::to_string(max_depth) + " folders");
      failure.path = printable(name);
      return failure;
    }
    components.push_back(component);
  }
  std::string clean;
  for (const std::string_view component : components) {
    if (!clean.empty()) clean += '/';
    clean += component;
  }
  return clean;
}

std::string_view parent_of(std::string_view clean) {
  const size_t slash = clean.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : clean.substr(0, slash);
}

std::string_view base_of(std::string_view clean) {
  const size_t slash = clean.rfind('/');
  return slash == std::string_view::npos ? clean : clean.substr(slash + 1);
}

sys::Result<NameKind> classify_name(std::string_view clean) {
  const std::string_view base = base_of(clean);
  for (std::string_view rest = parent_of(clean); !rest.empty();) {
    const std::string_view component = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), component.size() + 1));
    if (is_aufs_bookkeeping(component)) return NameKind::kIgnored;
    if (component.starts_with(".wh..wh.plnk")) return refuse(clean, "hardlinks kept in the manner of AUFS");
    if (component.starts_with(kPrefix)) return refuse(clean, "a whiteout can't be a folder");
  }
  if (!base.starts_with(kPrefix)) return NameKind::kOrdinary;
  if (base == kOpaqueName) return NameKind::kOpaque;
  // The hardlink store itself is harmless while it is empty.
  if (is_aufs_bookkeeping(base) || base == ".wh..wh.plnk") return NameKind::kIgnored;
  const std::string_view target = whiteout_target(base);
  if (target.empty() || target == "." || target == "..") return refuse(clean, "a whiteout of nothing");
  if (base.starts_with(kMetaPrefix)) return refuse(clean, "an unknown whiteout");
  return NameKind::kWhiteout;
}

std::string_view whiteout_target(std::string_view base) { return base.substr(kPrefix.size()); }

std::string printable(std::string_view bytes) {
  constexpr const char* kHex = "0123456789abcdef";
  std::string text;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    if (text.size() > kPrintableSize) return text + "…";
    const auto byte = static_cast<unsigned char>(rest.front());
    const size_t length = utf8_length(rest);
    if (length == 0 || byte < 0x20 || byte == 0x7f) {
      text += "\\x";
      text += kHex[byte >> 4];
      text += kHex[byte & 15];
      rest.remove_prefix(1);
      continue;
    }
    text += rest.substr(0, length);
    rest.remove_prefix(length);
  }
  return text;
}

}  // namespace layer
