// A copy of all that a container has written, for those that are forked from it while it runs.
#pragma once

#include <string>

#include "supervisor/handshake.h"
#include "sys/result.h"

namespace supervisor {

// The request `copy`: each of the folders `from`, which the container writes to, is in the empty folder `to` as all of
// them were at one moment. The reply tells of each, in their order, whether it says anything over the layer `below`.
sys::Result<std::string> copy_layers(const Request& request);

}  // namespace supervisor
