// What unpacking a layer told of it, on its way to Node and back: paths of any bytes, more of them than a frame holds.
#pragma once

#include "layer/mend.h"
#include "layer/unpack.h"
#include "sys/result.h"

namespace supervisor {

// As `found` events on the control connection, each under the size of a frame.
void send_findings(const layer::UnpackResult& result);

// From `input_fd` to its end: `i<path>\0`, `w<path>\0`, `l<path>\0<target>\0`. They are added to the request.
sys::Result<void> read_findings(int input_fd, layer::MendRequest& request);

}  // namespace supervisor
