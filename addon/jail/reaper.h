// A PID 1 that does what a program which was never meant to be PID 1 does not: it reaps orphans and has signals
// delivered.
#pragma once

#include "sys/result.h"

namespace jail {

// Returns in a child of the calling process, which goes on to be the program. The caller itself stays: it forwards
// every signal to that child, reaps whatever is reparented to it, and ends when the child has ended, with its exit code
// or 128 plus its signal. No file of the image is involved. Under a tty the child is the foreground process group.
sys::Result<void> become_reaper(int sync, bool terminal);

}  // namespace jail
