// Two unpacked layers side by side: what is in one and not in the other, down to the last byte.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "sys/result.h"

namespace layer {

struct CompareRequest {
  std::string left;  // folders
  std::string right;
  // What got its time by being unpacked: folders without an entry in the archive, and whiteouts. The root is ".".
  std::set<std::string> timeless;
  bool folder_times = true;
};

struct Difference {
  std::string path;  // the root is "."
  std::string what;  // "content", "mode", "is missing", …
};

struct CompareResult {
  uint64_t count = 0;
  std::vector<Difference> first;  // a few
};

// Names, kinds, contents, modes, owners, times of modification, targets of links, which names are one file, device
// numbers and extended attributes of both are the same, or it says where they are not. Nothing is changed, no link
// followed. What of the left can't be read is a difference; an error has the step "compare".
sys::Result<CompareResult> compare(const CompareRequest& request);

}  // namespace layer
