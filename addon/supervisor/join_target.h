// Asking a running container's supervisor for the way into it.
#pragma once

#include <string>
#include <vector>

#include "jail/jail.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

struct JoinTarget {
  jail::Target target;
  sys::Fd lock;  // the container's: what we do in its upper folder counts as its own doing
  std::vector<sys::Fd> cgroup_folders;
  std::string bundle;
  std::string seccomp_filter;
};

// Blocks until the supervisor that listens on `socket` has answered. A container that does not run, or is paused, is an
// error.
sys::Result<JoinTarget> ask_for_target(const std::string& socket);

}  // namespace supervisor
