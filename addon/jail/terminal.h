// The container's own pseudo terminal. Its caller's terminal is never shared: TIOCSTI would type into it
// (CVE-2017-5226).
#pragma once

#include <cstdint>

#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

struct Terminal {
  sys::Fd master;
  sys::Fd slave;
};

// A new pair from the multiplexer `ptmx` of a devpts instance; it was verified to be one, and the slave was opened
// through the master and not by a path (CVE-2025-52565). columns and rows of 0 leave the kernel's default.
sys::Result<Terminal> open_terminal(const sys::Fd& ptmx, uint16_t columns, uint16_t rows);

// The multiplexer in the devpts mount `devpts`, and the one that a process in a container finds below its root.
sys::Result<sys::Fd> open_multiplexer(int devpts);
sys::Result<sys::Fd> open_multiplexer_in(int root);

// The slave is also /dev/console in the tmpfs `dev`.
sys::Result<void> bind_console(int dev, const Terminal& terminal);

}  // namespace jail
