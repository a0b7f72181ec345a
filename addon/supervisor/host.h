// What this process knows of the host it runs on.
#pragma once

#include <sys/types.h>

#include <string>

#include "sys/result.h"

namespace supervisor {

// The number under which the host's /proc shows the process of `pidfd`; 0 when it has ended. Ours differs: we live in a
// pid namespace.
pid_t host_pid(int pidfd);

// The same for this process.
pid_t own_host_pid();

// Changes with every boot; empty where /proc does not tell.
std::string boot_id();

// The failure's sentence, or the kernel's words for its number.
std::string describe(const sys::Error& error);

}  // namespace supervisor
