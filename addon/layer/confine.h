// What an unpacking process gives up: it reads bytes that anybody may have written.
#pragma once

#include "sys/result.h"

namespace layer {

// The process's root and working directory are `folder` for good, it can gain no rights by execve, and keeps only the
// capabilities that unpacking needs. Descriptors that are open stay usable.
sys::Result<void> confine(int folder);

}  // namespace layer
