// Being root without rights on the host.
#pragma once

#include "supervisor/config.h"
#include "sys/result.h"

namespace supervisor {

// This process, of one thread, is root of a new user namespace with the user's ids, and still cannot be looked at by
// others.
sys::Result<void> enter_rootless(const RootlessConfig& ids);

// This process is PID 1 of a new pid namespace. The one that called stays outside, as the kernel wants it, with no
// other task than to end together with it.
sys::Result<void> enter_pid_namespace();

}  // namespace supervisor
