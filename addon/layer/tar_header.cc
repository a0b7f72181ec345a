#include "layer/tar_header.h"

#include <algorithm>
#include <cstring>

namespace layer {
namespace {

struct Field {
  size_t offset;
  size_t size;
};
// Offsets in the block: POSIX.1-2017, pax, "ustar Interchange Format", and GNU tar's tar.h.
constexpr Field kName = {0, 100};
constexpr Field kMode = {100, 8};
constexpr Field kUid = {108, 8};
constexpr Field kGid = {116, 8};
constexpr Field kSize = {124, 12};
constexpr Field kModified = {136, 12};
constexpr Field kChecksum = {148, 8};
constexpr size_t kFlag = 156;
constexpr Field kLink = {157, 100};
constexpr Field kMagic = {257, 8};
constexpr Field kDeviceMajor = {329, 8};
constexpr Field kDeviceMinor = {337, 8};
constexpr Field kPrefix = {345, 155};
constexpr Field kStarPrefix = {345, 131};
constexpr Field kStarAccessed = {476, 12};
constexpr Field kStarTrailer = {508, 4};
constexpr Field kGnuAccessed = {345, 12};
constexpr Field kGnuChanged = {357, 12};

std::span<const uint8_t> slice(const Block& block, Field field) {
  return std::span<const uint8_t>(block).subspan(field.offset, field.size);
}

bool equals(const Block& block, Field field, const char* text) {
  return std::memcmp(block.data() + field.offset, text, field.size) == 0;
}

bool checksum_matches(const Block& block) {
  int64_t stored = 0;
  if (!parse_number(slice(block, kChecksum), stored)) return false;
  int64_t as_unsigned = 0;
  int64_t as_signed = 0;
  for (size_t at = 0; at < kBlockSize; at++) {
    const bool inside = at >= kChecksum.offset && at < kChecksum.offset + kChecksum.size;
    const uint8_t byte = inside ? ' ' : block[at];
    as_unsigned += byte;
    as_signed += static_cast<int8_t>(byte);
  }
  return stored == as_unsigned || stored == as_signed;
}

bool parse_octal(std::span<const uint8_t> field, int64_t& value) {
  const auto padding = [](uint8_t byte) { return byte == ' ' || byte == 0; };
  while (!field.empty() && padding(field.front())) field = field.subspan(1);
  while (!field.empty() && padding(field.back())) field = field.first(field.size() - 1);
  value = 0;
  for (const uint8_t byte : field) {
    if (byte < '0' || byte > '7' || value > (INT64_MAX >> 3)) return false;
    value = value * 8 + (byte - '0');
  }
  return true;
}

// GNU tar writes base-256 for what octal can't hold: ids over 2097151, sizes from 8 GiB, times before 1970.
bool parse_base256(std::span<const uint8_t> field, int64_t& value) {
  const bool negative = (field[0] & 0x40) != 0;
  const uint8_t fill = negative ? 0xff : 0;
  uint64_t bits = negative ? UINT64_MAX : 0;
  for (size_t at = 0; at < field.size(); at++) {
    // Bit 7 of the first byte is the mark, its bit 6 the sign.
    const uint8_t byte = at > 0 ? field[at] : static_cast<uint8_t>(negative ? field[0] | 0x80 : field[0] & 0x7f);
    if (static_cast<uint8_t>(bits >> 56) != fill) return false;
    bits = bits << 8 | byte;
  }
  value = static_cast<int64_t>(bits);
  return (value < 0) == negative;
}

sys::Error bad(const char* field) {
  return sys::error("read tar", std::string("the header's ") + field + " is no number in range");
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void join_prefix(Header& header, const std::string& prefix) {
  if (!prefix.empty()) header.name = prefix + "/" + header.name;
}

// The 167 bytes after the device numbers mean different things in each dialect.
void parse_tail(const Block& block, Header& header) {
  int64_t seconds = 0;
  if (equals(block, kMagic, "ustar  \0")) {
    header.gnu = true;
    int64_t changed = 0;
    if (parse_number(slice(block, kGnuAccessed), seconds) && parse_number(slice(block, kGnuChanged), changed)) {
      if (block[kGnuAccessed.offset] != 0) header.accessed = Time{seconds, 0};
      return;
    }
    // Go's archive/tar up to 1.7 wrote a ustar prefix into GNU headers; Docker images of that time have it.
    const std::string prefix = parse_string(slice(block, kPrefix));
    if (is_ascii(prefix)) join_prefix(header, prefix);
    return;
  }
  if (std::memcmp(block.data() + kMagic.offset, "ustar\0", 6) != 0) return;  // V7: the name only
  if (equals(block, kStarTrailer, "tar\0")) {
    join_prefix(header, parse_string(slice(block, kStarPrefix)));
    if (parse_number(slice(block, kStarAccessed), seconds)) header.accessed = Time{seconds, 0};
    return;
  }
  join_prefix(header, parse_string(slice(block, kPrefix)));
}

}  // namespace

bool is_zero(const Block& block) {
  return std::all_of(block.begin(), block.end(), [](uint8_t byte) { return byte == 0; });
}

bool parse_number(std::span<const uint8_t> field, int64_t& value) {
  if (field.empty()) return false;
  return (field[0] & 0x80) != 0 ? parse_base256(field, value) : parse_octal(field, value);
}

std::string parse_string(std::span<const uint8_t> field) {
  const auto end = std::find(field.begin(), field.end(), 0);
  return {field.begin(), end};
}

sys::Result<Header> parse_header(const Block& block) {
  if (!checksum_matches(block))
    return sys::error("read tar", "a header's checksum is wrong: damaged, or no tar archive");
  Header header;
  header.flag = block[kFlag];
  header.name = parse_string(slice(block, kName));
  header.link = parse_string(slice(block, kLink));
  int64_t mode = 0;
  if (!parse_number(slice(block, kMode), mode)) return bad("mode");
  header.mode = static_cast<uint32_t>(mode & 07777);  // some tars store the file type bits too
  if (!parse_number(slice(block, kUid), header.uid)) return bad("uid");
  if (!parse_number(slice(block, kGid), header.gid)) return bad("gid");
  if (!parse_number(slice(block, kSize), header.size) || header.size < 0) return bad("size");
  if (!parse_number(slice(block, kModified), header.modified.seconds)) return bad("mtime");
  if (header.flag == '3' || header.flag == '4') {
    if (!parse_number(slice(block, kDeviceMajor), header.device_major)) return bad("device major");
    if (!parse_number(slice(block, kDeviceMinor), header.device_minor)) return bad("device minor");
  }
  parse_tail(block, header);
  return header;
}

}  // namespace layer
