// Descriptors and signals of a process that is about to be the container's.
#pragma once

#include <vector>

#include "jail/jail.h"
#include "jail/terminal.h"
#include "jail/users.h"
#include "sys/result.h"

namespace jail {

// Every descriptor but 0, 1, 2 and those in `keep` is closed; which of the three was not open is `null` now, so that no
// later descriptor can take its number and be overwritten when the program's stdio is installed.
sys::Result<void> close_all_but(std::vector<int> keep, int null);

// All signals have their default action. The mask is left: unblock_signals() comes last, when nothing of ours is
// interrupted any more.
void reset_signals();
void unblock_signals();

// 0, 1 and 2 are the given descriptors, or the terminal's slave, which then is the controlling terminal of a new
// session. What is -1 is `null`. They belong to `who`, so that the program can open /dev/stdout again after it gave up
// root.
sys::Result<void> install_stdio(const Stdio& stdio, const Terminal& terminal, int null, const Identity& who);

}  // namespace jail
