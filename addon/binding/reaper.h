// Waits for every child that this addon started, so that none stays a zombie; once per process.
#pragma once

#include <cstddef>
#include <optional>

#include "binding/clone.h"

namespace binding {

struct ExitStatus {
  bool signalled = false;
  int value = 0;  // the exit code, or the signal's number
};

// `child` will be waited for. A thread of ours does it, started with the first child: a handle in Node's loop would
// belong to one worker and end with it, and Jest would report it as open.
void adopt(Child child);

// How a child ended, if it has: of the last 1024.
std::optional<ExitStatus> exit_status(pid_t pid);

// Children that were not yet waited for.
size_t child_count();

}  // namespace binding
