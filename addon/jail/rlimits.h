// Resource limits of the process.
#pragma once

#include <vector>

#include "jail/spec.h"
#include "sys/result.h"

namespace jail {

// The limits asked for are in force. RLIMIT_NOFILE is always set: Node raises its own soft limit to the hard one and
// children inherit that, which makes old programs loop over millions of descriptors. When nobody asked it is 1024, with
// the hard limit left as high as the host has it.
sys::Result<void> set_rlimits(const std::vector<Rlimit>& limits);

}  // namespace jail
