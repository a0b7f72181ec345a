// What unpacking a layer finds, on its way out and in again: names are bytes, and there may be more of them than a
// frame holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "layer/hardlinks.h"
#include "sys/result.h"

namespace supervisor {

// A name as a JSON string. Its bytes are whatever the archive had: what is no UTF-8 becomes U+DC80…U+DCFF.
void append_name(std::string& json, std::string_view name);

// Sends `found` events, each under the size of a frame.
class Findings {
 public:
  void names(const char* key, const std::vector<std::string>& names);
  void links(const std::vector<layer::LowerLink>& links);

 private:
  void begin();
  void flush_if_large(const char* key);
  void flush(const char* key);

  std::string items_;
};

struct ReadFindings {
  std::vector<std::string> implicit;
  std::vector<std::string> whiteouts;
  std::vector<layer::LowerLink> lower_links;
};

// From fd 0 to its end: `i<path>\0`, `w<path>\0`, `l<path>\0<target>\0`.
sys::Result<ReadFindings> read_findings();

}  // namespace supervisor
