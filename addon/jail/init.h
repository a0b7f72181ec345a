// What the first process of a container does, from its clone to the program.
#pragma once

#include <vector>

#include "jail/cgroup.h"
#include "jail/jail.h"
#include "jail/seccomp/load.h"
#include "jail/spec.h"
#include "sys/fd.h"

namespace jail {

// All that init needs, prepared by its parent while failing is still cheap.
struct InitPlan {
  const Spec& spec;
  Stdio stdio;
  const Cgroup& cgroup;
  std::vector<int> cgroup_procs;  // cgroups it is not in yet
  const seccomp::Program& filter;
  std::vector<std::pair<int, sys::Fd>> joined;  // CLONE_NEW* and the existing namespace to enter
  pid_t parent = -1;
  int null = -1;
  int sync = -1;
};

// Runs in the clone. Failures go to the parent over `plan.sync`.
[[noreturn]] void run_init(const InitPlan& plan);

}  // namespace jail
