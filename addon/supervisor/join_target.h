// Asking a running container's supervisor for the way into it.
#pragma once

#include <string>
#include <vector>

#include "jail/jail.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

struct JoinTarget {
  jail::Target target;  // without a pidfd when the container doesn't run
  sys::Fd lock;         // the container's: what we do in its upper folder counts as its own doing
  std::vector<sys::Fd> cgroup_folders;
  sys::Fd connection;  // of kWriting: the container isn't started for as long as it is open
  std::string bundle;
  std::string id;
  std::string seccomp_filter;
};

// Whom a target is wanted of: running processes, to be joined by another, or also those that are paused or not there,
// to look at the files, or to change them, which one alone does at a time where the container doesn't run.
enum class Wanted { kRunning, kFiles, kWriting };

// Blocks until the supervisor that listens on `socket` has answered. A container in another state than wanted is an
// error.
sys::Result<JoinTarget> ask_for_target(const std::string& socket, Wanted wanted = Wanted::kRunning);

// With the `connection` of kWriting: the container stands still from now on, and is not started if it doesn't run.
// Returns whether it runs. Ends with resume_container(), or with the connection, whoever closes it. ENOTSUP, or ENOSYS
// of a supervisor of an older version: it can't stand still.
sys::Result<bool> suspend_container(int connection);

// It goes on, and may be started.
sys::Result<void> resume_container(int connection);

}  // namespace supervisor
