// A pull parser for tar archives: V7, ustar, PAX, GNU, star; sparse files of all four kinds. It touches no file and
// remembers no more than one entry. Readings follow Go's archive/tar, through which nearly every image ever made has
// passed, so that two readers cannot be made to see different trees.
#pragma once

#include <optional>
#include <string>

#include "layer/stream.h"
#include "layer/tar_entry.h"
#include "layer/tar_header.h"
#include "layer/tar_pax.h"

namespace layer {

// The most that one extension header (PAX records, a GNU long name) may hold.
constexpr uint64_t kMaxMetaSize = 1048576;

struct Piece {
  uint64_t offset = 0;  // within the file
  std::span<const uint8_t> bytes;
};

// Errors have the step "read tar", or "limit", and `path` where an entry's name is known.
class TarReader {
 public:
  explicit TarReader(ByteSource& source) : source_(source) {}

  // The next member, its data unread; what was left of the former one is skipped. False at the end of the archive: two
  // zero blocks, or the end of the stream at a block's edge. The stream may go on then (padding); the caller drains it.
  sys::Result<bool> next(Entry& entry);

  // The next piece of the member's stored data; empty at its end. Valid until the next call.
  sys::Result<Piece> data();

 private:
  struct Extensions {
    std::optional<Pax> pax;
    std::optional<std::string> long_name;
    std::optional<std::string> long_link;
  };

  // False when the stream ended exactly here.
  sys::Result<bool> read_block(Block& block);
  // The first header that is not zero; false at the end of the archive.
  sys::Result<bool> read_header_block(Block& block);
  sys::Result<void> skip(uint64_t size);
  sys::Result<std::string> read_meta(const Header& header);
  // True when the header was an extension's and has been taken in.
  sys::Result<bool> extend(const Header& header, Extensions& extensions);
  sys::Result<void> fill(const Block& block, const Header& header, Extensions& extensions, Entry& entry);
  sys::Result<void> set_type(const Header& header, Entry& entry);
  sys::Result<void> begin_data(const Block& block, const Header& header, Extensions& extensions, Entry& entry);
  sys::Result<void> read_gnu_map(const Block& block, Entry& entry);
  sys::Result<void> read_pax_map();
  // At least one byte in chunk_, unless the stream has ended.
  sys::Result<void> refill();

  ByteSource& source_;
  std::span<const uint8_t> chunk_;
  uint64_t left_ = 0;     // stored bytes of this member that are unread
  uint64_t padding_ = 0;  // behind them, up to the next header
  bool sparse_ = false;
  std::vector<Segment> segments_;  // of a sparse member
  size_t segment_ = 0;
  uint64_t position_ = 0;  // in the file; in the segment of a sparse one
};

}  // namespace layer
