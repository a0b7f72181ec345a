// What unpacking a layer told of it, on its way to Node and back: paths of any bytes, more of them than a frame holds.
#pragma once

#include <string>
#include <vector>

#include "layer/hardlinks.h"
#include "layer/unpack.h"
#include "sys/result.h"

namespace supervisor {

// As `found` events on the control connection, each under the size of a frame.
void send_findings(const layer::UnpackResult& result);

struct Findings {
  std::vector<std::string> implicit;
  std::vector<std::string> whiteouts;
  std::vector<layer::LowerLink> lower_links;
};

// From `input_fd` to its end: `i<path>\0`, `w<path>\0`, `l<path>\0<target>\0`.
sys::Result<Findings> read_findings(int input_fd);

}  // namespace supervisor
