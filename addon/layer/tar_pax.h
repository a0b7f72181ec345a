// PAX extended headers (POSIX.1-2001, pax, "pax Extended Header"): records "LENGTH KEY=VALUE\n" that override the next
// header.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layer/tar_entry.h"
#include "sys/result.h"

namespace layer {

struct Pax {
  std::optional<std::string> path;
  std::optional<std::string> link;
  std::optional<uint64_t> size;
  std::optional<uint64_t> uid;
  std::optional<uint64_t> gid;
  std::optional<Time> modified;
  std::optional<Time> accessed;
  std::vector<Xattr> xattrs;

  // GNU sparse formats 0.0, 0.1 and 1.0.
  bool sparse = false;
  bool map_in_data = false;  // 1.0: the map precedes the data
  std::optional<std::string> sparse_name;
  std::optional<uint64_t> real_size;
  std::vector<Segment> segments;
};

// Unknown keys are ignored, as POSIX wants; an empty value takes an override back. Broken records, a NUL in a path and
// numbers that are none are errors.
sys::Result<Pax> parse_pax(std::span<const uint8_t> records);

// Digits only, no sign, below 2^63. False otherwise.
bool parse_decimal(std::string_view text, uint64_t& value);

}  // namespace layer
