// What a process gives up that unpacks bytes that anybody may have written, or packs a tree that anybody may change.
#pragma once

#include <linux/capability.h>

#include <initializer_list>

#include "sys/result.h"

namespace layer {

using Capabilities = std::initializer_list<unsigned>;

// SYS_ADMIN is what trusted.* attributes ask for.
constexpr Capabilities kToUnpack = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,   CAP_FSETID,
                                    CAP_MKNOD, CAP_SETFCAP,      CAP_SYS_ADMIN};
constexpr Capabilities kToDeposit = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP};
constexpr Capabilities kToPack = {CAP_DAC_READ_SEARCH};
// To see what overlayfs marks by trusted.* attributes, SYS_ADMIN again.
constexpr Capabilities kToCompare = {CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN};

// To read what is a container's and write a copy of it, and to see what its processes have mapped.
constexpr Capabilities kToReplicate = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,    CAP_FSETID,
                                       CAP_MKNOD, CAP_SETFCAP,      CAP_SYS_ADMIN, CAP_SYS_PTRACE};

// The process's root and working directory are `folder` for good, it can gain no rights by execve, and keeps no
// capabilities but these. Descriptors that are open stay usable.
sys::Result<void> confine(int folder, Capabilities kept);

}  // namespace layer
