// What modes have in common that work for long and for one caller.
#pragma once

#include <functional>

#include "sys/result.h"

namespace supervisor {

// This process runs only where nobody else wants to.
void yield_to_program();

// From now on the process ends, at once, when its control connection does: whoever asked has gone, the result is wanted
// by nobody, and the folder is about to be removed. Starts a thread, which calls `before` then.
sys::Result<void> end_with_control(std::function<void()> before = {});

}  // namespace supervisor
