// libFuzzer: any bytes, in chunks of any size, give entries that keep the reader's promises, or an error.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "fuzz/checksums.h"
#include "layer/name.h"
#include "layer/tar_reader.h"

namespace {

// The input's first byte says how it arrives.
class ChunkedSource final : public layer::ByteSource {
 public:
  ChunkedSource(const uint8_t* bytes, size_t size) : bytes_(bytes, size) {
    if (size == 0) return;
    step_ = static_cast<size_t>(bytes[0]) * 16 + 1;
    bytes_ = bytes_.subspan(1);
  }
  sys::Result<std::span<const uint8_t>> next() override {
    const auto chunk = bytes_.first(std::min(step_, bytes_.size()));
    bytes_ = bytes_.subspan(chunk.size());
    return chunk;
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t step_ = 1;
};

void check(bool promise) {
  if (!promise) abort();
}

void check_entry(const layer::Entry& entry) {
  check(entry.name.find('\0') == std::string::npos && entry.link.find('\0') == std::string::npos);
  check(entry.mode <= 07777 && entry.uid != UINT32_MAX && entry.gid != UINT32_MAX);
  check(entry.device_major <= 0xfff && entry.device_minor <= 0xfffff);
  check(entry.modified.nanoseconds < 1'000'000'000);
  for (const layer::Xattr& xattr : entry.xattrs)
    check(!xattr.name.empty() && xattr.name.find('\0') == std::string::npos);
  auto clean = layer::clean_name(entry.name, 64);
  if (!clean) return;
  check(!clean->starts_with('/') && !clean->ends_with('/') && ("/" + *clean + "/").find("/../") == std::string::npos);
  auto again = layer::clean_name(*clean, 64);
  check(again && *again == *clean);
  static_cast<void>(layer::classify_name(*clean).ok());
  static_cast<void>(layer::printable(*clean));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::vector<uint8_t> fixed = with_checksums(bytes, size);
  ChunkedSource source(fixed.data(), fixed.size());
  layer::TarReader reader(source);
  layer::Entry entry;
  while (true) {
    auto more = reader.next(entry);
    if (!more || !*more) return 0;
    check_entry(entry);
    uint64_t end = 0;
    while (true) {
      auto piece = reader.data();
      if (!piece) return 0;
      if (piece->bytes.empty()) break;
      check(piece->offset >= end && entry.type == layer::EntryType::kFile);
      end = piece->offset + piece->bytes.size();
      check(end <= entry.size);
    }
  }
}
