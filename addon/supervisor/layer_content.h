// Whether a layer makes a difference.
#pragma once

#include "sys/result.h"

namespace supervisor {

// The layer `folder`, an open folder, shows something over the topmost of those below it, `below`, -1 where there is
// none: a folder without names still says something by its own mode and owner, which hide those of the layer below.
sys::Result<bool> says_something(int folder, int below, const char* step);

}  // namespace supervisor
