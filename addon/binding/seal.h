// The supervisor binary as a descriptor through which nobody can write to it.
#pragma once

#include "sys/result.h"

namespace binding {

enum class Seal { kNone, kOverlay, kMemfd };

struct Executable {
  int fd = -1;  // owned by this process for its whole life
  Seal seal = Seal::kNone;
};

// The binary that lies beside this addon, sealed once per process. A container could otherwise write to it through
// /proc/<pid>/exe while it enters the container (CVE-2019-5736). Safe from every thread.
sys::Result<Executable> sealed_executable();

// What is there so far.
Seal current_seal();

}  // namespace binding
