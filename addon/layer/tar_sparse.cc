#include "layer/tar_sparse.h"

#include "layer/tar_pax.h"

namespace layer {
namespace {

// GNU tar's tar.h, struct oldgnu_header and struct sparse_header.
constexpr size_t kHeaderRuns = 386;
constexpr size_t kHeaderRunCount = 4;
constexpr size_t kHeaderExtended = 482;
constexpr size_t kHeaderRealSize = 483;
constexpr size_t kExtensionRunCount = 21;
constexpr size_t kExtensionExtended = 504;
constexpr size_t kNumberSize = 12;

sys::Error bad(const char* what) { return sys::error("read tar", std::string("sparse file: ") + what); }

sys::Result<void> parse_runs(std::span<const uint8_t> bytes, std::vector<Segment>& segments) {
  for (; bytes.size() >= 2 * kNumberSize; bytes = bytes.subspan(2 * kNumberSize)) {
    if (bytes[0] == 0) break;  // unused slots are NULs
    int64_t offset = 0;
    int64_t size = 0;
    if (!parse_number(bytes.first(kNumberSize), offset) || offset < 0) return bad("broken map");
    if (!parse_number(bytes.subspan(kNumberSize, kNumberSize), size) || size < 0) return bad("broken map");
    if (segments.size() == kMaxSegments) return sys::error("limit", "sparse file: its map is too long");
    segments.push_back({static_cast<uint64_t>(offset), static_cast<uint64_t>(size)});
  }
  return {};
}

}  // namespace

sys::Result<void> parse_gnu_sparse(const Block& block, std::vector<Segment>& segments, bool& extended,
                                   uint64_t& real_size) {
  const std::span<const uint8_t> bytes(block);
  SYS_TRY(parse_runs(bytes.subspan(kHeaderRuns, kHeaderRunCount * 2 * kNumberSize), segments));
  int64_t size = 0;
  if (!parse_number(bytes.subspan(kHeaderRealSize, kNumberSize), size) || size < 0) return bad("broken size");
  real_size = static_cast<uint64_t>(size);
  extended = block[kHeaderExtended] != 0;
  return {};
}

sys::Result<void> parse_gnu_extension(const Block& block, std::vector<Segment>& segments, bool& extended) {
  SYS_TRY(parse_runs(std::span<const uint8_t>(block).first(kExtensionRunCount * 2 * kNumberSize), segments));
  extended = block[kExtensionExtended] != 0;
  return {};
}

sys::Result<void> SparseMap::feed(std::string_view text) {
  for (const char c : text) {
    if (complete()) return {};  // the rest is padding
    if (c != '\n') {
      if (digits_.size() > 20) return bad("broken map");
      digits_ += c;
      continue;
    }
    uint64_t value = 0;
    if (!parse_decimal(digits_, value)) return bad("broken map");
    digits_.clear();
    SYS_TRY(number(value));
  }
  return {};
}

sys::Result<void> SparseMap::number(uint64_t value) {
  if (!count_known_) {
    if (value > kMaxSegments) return sys::error("limit", "sparse file: its map is too long");
    count_ = value;
    count_known_ = true;
  } else if (!offset_known_) {
    offset_ = value;
    offset_known_ = true;
  } else {
    segments_.push_back({offset_, value});
    offset_known_ = false;
  }
  return {};
}

sys::Result<void> check_segments(const std::vector<Segment>& segments, uint64_t real_size, uint64_t stored) {
  uint64_t end = 0;
  uint64_t sum = 0;
  for (const Segment& segment : segments) {
    if (segment.offset < end || segment.offset > real_size || segment.size > real_size - segment.offset) {
      return bad("its runs overlap, or lie outside the file");
    }
    end = segment.offset + segment.size;
    sum += segment.size;
  }
  if (sum != stored) return bad("its runs and its data differ in size");
  return {};
}

}  // namespace layer
