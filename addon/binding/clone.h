// Starting a process from inside Node: many threads, signal handlers, hundreds of descriptors, megabytes of mappings.
#pragma once

#include <sys/types.h>

#include <array>

#include "sys/fd.h"
#include "sys/result.h"

namespace binding {

constexpr size_t kMaxFds = 16;

struct CloneRequest {
  int executable = -1;           // O_PATH is enough
  const char* mode = nullptr;    // argv[1]
  std::array<int, kMaxFds> fds;  // become 0 … count-1; -1 is /dev/null
  size_t count = 0;
  bool new_pid_namespace = false;
};

struct Child {
  pid_t pid = -1;
  sys::Fd pidfd;
};

// The executable runs: execve succeeded. Nothing of it remains on failure, whose step is the system call.
sys::Result<Child> clone_and_exec(const CloneRequest& request);

}  // namespace binding
