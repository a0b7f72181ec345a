// Loading a compiled filter into the calling process.
#pragma once

#include <string>
#include <string_view>

#include "sys/fd.h"
#include "sys/result.h"

namespace jail::seccomp {

// A filter ready to be loaded. It must be read while the host's files are still reachable, before pivot_root.
struct Program {
  std::string bytes;  // struct sock_filter[]
  bool built_in = false;
  bool unconfined = false;
};

// `filter` is Process::seccomp_filter: "" the built-in default, "unconfined", or the path of a compiled one.
sys::Result<Program> prepare(const std::string& filter);

// The calling thread and what it executes can make only the calls that the program allows. Needs no_new_privs or
// CAP_SYS_ADMIN.
sys::Result<void> load(const Program& program);

}  // namespace jail::seccomp
