// The last steps of every process in a container, init's and exec's alike: from full privileges inside the container's
// root to execve.
#pragma once

#include "jail/jail.h"
#include "jail/seccomp/load.h"
#include "jail/spec.h"
#include "jail/terminal.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

struct Launch {
  const Process& process;
  Stdio stdio;
  const seccomp::Program& filter;
  int null;  // a descriptor of the null device
  int sync;
  bool rootless = false;
  bool reaper = false;  // stay as PID 1 that forwards signals and reaps, and run the program as its child
  int status = -1;      // run the program behind a guard, which tells its end here (jail/guard.h)
  pid_t die_with = -1;  // when no pid namespace ends with the parent: the parent, as getppid(2) should tell it
};

// Does not return when all goes well: the process stands at Point::kRootfs, is released and becomes the program.
sys::Error launch(const Launch& launch, Terminal terminal);

// Ends this process after it told its parent why.
[[noreturn]] void fail(int sync, const sys::Error& failure);

// This process stands at `point` until its parent releases it.
sys::Result<void> stand_at(int sync, Point point);

}  // namespace jail
