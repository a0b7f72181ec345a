#include "layer/tar_writer.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "layer/name.h"
#include "layer/tar_header.h"

namespace layer {
namespace {

constexpr size_t kNameSize = 100;
constexpr size_t kPrefixSize = 155;
constexpr int64_t kMaxId = 07777777;        // seven octal digits
constexpr int64_t kMaxLong = 077777777777;  // eleven
constexpr uint32_t kNanoseconds = 1'000'000'000;

char flag_of(EntryType type) {
  switch (type) {
    case EntryType::kFile:
      return '0';
    case EntryType::kHardlink:
      return '1';
    case EntryType::kSymlink:
      return '2';
    case EntryType::kCharDevice:
      return '3';
    case EntryType::kBlockDevice:
      return '4';
    case EntryType::kDirectory:
      return '5';
    case EntryType::kFifo:
      return '6';
  }
  return '0';
}

// The length counts its own digits.
void append_record(std::string& out, std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;  // the space, the '=' and the newline
  size_t length = rest + 1;
  while (length != rest + std::to_string(length).size()) length = rest + std::to_string(length).size();
  out.append(std::to_string(length)).append(" ").append(key).append("=").append(value).append("\n");
}

// Decimal, the fraction without trailing zeros. Time::nanoseconds counts forward from the second also before 1970.
std::string time_text(const Time& time) {
  const bool negative = time.seconds < 0;
  int64_t whole = time.seconds;
  uint32_t fraction = time.nanoseconds;
  if (negative && fraction > 0) {
    whole += 1;
    fraction = kNanoseconds - fraction;
  }
  std::string text = (negative ? "-" : "") + std::to_string(whole < 0 ? -whole : whole);
  if (fraction == 0) return text;
  char digits[16];
  snprintf(digits, sizeof digits, ".%09u", fraction);
  text += digits;
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

// Where ustar cuts a long name in two, at a slash that neither part keeps; npos if it can't.
size_t split_of(std::string_view name) {
  if (name.size() <= kNameSize) return 0;
  const size_t slash = name.find('/', name.size() - kNameSize - 1);
  const bool fits = slash != std::string_view::npos && slash > 0 && slash <= kPrefixSize && slash + 1 < name.size();
  return fits ? slash : std::string_view::npos;
}

struct Field {
  size_t offset;
  size_t size;
};

class HeaderBlock {
 public:
  HeaderBlock() { std::memset(bytes_, 0, sizeof bytes_); }

  void text(Field field, std::string_view value) {
    std::memcpy(bytes_ + field.offset, value.data(), std::min(field.size, value.size()));
  }
  // What doesn't fit stands in the extended header; 0 here.
  void number(Field field, int64_t value, int64_t max) {
    const auto digits = static_cast<int>(field.size - 1);
    snprintf(bytes_ + field.offset, field.size, "%0*llo", digits,
             static_cast<unsigned long long>(value < 0 || value > max ? 0 : value));
  }
  void append_to(std::string& out) {
    std::memset(bytes_ + kChecksum.offset, ' ', kChecksum.size);
    unsigned sum = 0;
    for (const char byte : bytes_) sum += static_cast<unsigned char>(byte);
    snprintf(bytes_ + kChecksum.offset, kChecksum.size, "%06o", sum);
    out.append(bytes_, sizeof bytes_);
  }

 private:
  static constexpr Field kChecksum = {148, 8};
  char bytes_[kBlockSize];
};

void append_block(std::string& out, char flag, std::string_view name, const Entry& entry) {
  HeaderBlock block;
  const size_t split = split_of(name);
  if (split == std::string_view::npos || split == 0) {
    block.text({0, kNameSize}, name);
  } else {
    block.text({345, kPrefixSize}, name.substr(0, split));
    block.text({0, kNameSize}, name.substr(split + 1));
  }
  block.number({100, 8}, entry.mode & 07777, kMaxId);
  block.number({108, 8}, entry.uid, kMaxId);
  block.number({116, 8}, entry.gid, kMaxId);
  block.number({124, 12}, static_cast<int64_t>(entry.size), kMaxLong);
  block.number({136, 12}, entry.modified.seconds, kMaxLong);
  block.text({156, 1}, std::string_view(&flag, 1));
  block.text({157, kNameSize}, entry.link);
  block.text({257, 8}, std::string_view("ustar\0"
                                        "00",
                                        8));
  if (flag == '3' || flag == '4') {
    block.number({329, 8}, entry.device_major, kMaxId);
    block.number({337, 8}, entry.device_minor, kMaxId);
  }
  block.append_to(out);
}

std::string pax_records(const std::string& name, const Entry& entry) {
  std::string records;
  if (split_of(name) == std::string_view::npos) append_record(records, "path", name);
  if (entry.link.size() > kNameSize) append_record(records, "linkpath", entry.link);
  if (entry.size > static_cast<uint64_t>(kMaxLong)) append_record(records, "size", std::to_string(entry.size));
  if (entry.uid > kMaxId) append_record(records, "uid", std::to_string(entry.uid));
  if (entry.gid > kMaxId) append_record(records, "gid", std::to_string(entry.gid));
  const Time& modified = entry.modified;
  if (modified.nanoseconds != 0 || modified.seconds < 0 || modified.seconds > kMaxLong)
    append_record(records, "mtime", time_text(modified));
  for (const Xattr& xattr : entry.xattrs) append_record(records, "SCHILY.xattr." + xattr.name, xattr.value);
  return records;
}

}  // namespace

void append_header(std::string& out, const Entry& entry) {
  Entry stored = entry;
  if (entry.type != EntryType::kFile) stored.size = 0;
  std::string name = entry.name;
  if (entry.type == EntryType::kDirectory && !name.ends_with('/')) name += '/';
  const std::string records = pax_records(name, stored);
  if (!records.empty()) {
    Entry extended;
    extended.mode = 0644;
    extended.size = records.size();
    // For people who list the archive with a program that doesn't know PAX; the name itself counts for nothing.
    const std::string_view clean = std::string_view(name).substr(0, name.find_last_not_of('/') + 1);
    append_block(out, 'x', "PaxHeaders/" + std::string(base_of(clean).substr(0, kNameSize - 11)), extended);
    out.append(records).append(padding_of(records.size()), '\0');
  }
  append_block(out, flag_of(entry.type), name, stored);
}

}  // namespace layer
