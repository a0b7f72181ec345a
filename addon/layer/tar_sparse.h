// Maps of sparse files: which runs of a file are stored in the archive. Everything between them is holes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "layer/tar_header.h"

namespace layer {

// More runs than this in one file is an attack or an accident: a map of 16 bytes each stays within the limit on meta
// data.
constexpr size_t kMaxSegments = 65536;

// Adds the runs that an old GNU header (flag 'S') holds itself; `extended` says whether extension blocks follow,
// `real_size` gets the file's size.
sys::Result<void> parse_gnu_sparse(const Block& block, std::vector<Segment>& segments, bool& extended,
                                   uint64_t& real_size);
// The same for an extension block.
sys::Result<void> parse_gnu_extension(const Block& block, std::vector<Segment>& segments, bool& extended);

// The text map of PAX format 1.0: a count, then offset and size of each run, one decimal a line, all padded to a block.
// It takes the map in pieces, as it is read: complete() once the last number was seen.
class SparseMap {
 public:
  sys::Result<void> feed(std::string_view text);
  [[nodiscard]] bool complete() const { return count_known_ && segments_.size() == count_ && !offset_known_; }
  std::vector<Segment> take() { return std::move(segments_); }

 private:
  sys::Result<void> number(uint64_t value);

  std::vector<Segment> segments_;
  uint64_t count_ = 0;
  uint64_t offset_ = 0;
  bool count_known_ = false;
  bool offset_known_ = false;
  std::string digits_;
};

// Runs are in order, do not overlap, lie within `real_size`, and add up to `stored`.
sys::Result<void> check_segments(const std::vector<Segment>& segments, uint64_t real_size, uint64_t stored);

}  // namespace layer
