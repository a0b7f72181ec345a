// A process that stays in front of a program which may leave others behind.
#pragma once

#include "sys/result.h"

namespace jail {

// Returns in a child, which is to become the program. This process adopts what the program orphans, tells the program's
// wait status (an int) over `status`, and ends when nobody of them is left: whoever kills them leaves no zombie to a
// PID 1 that does not reap. It must have been made a subreaper before.
sys::Result<void> become_guard(int sync, int status);

}  // namespace jail
