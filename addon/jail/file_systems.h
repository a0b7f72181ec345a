// Detached mounts of each type that a specification may ask for.
#pragma once

#include "jail/cgroup.h"
#include "jail/mount_options.h"
#include "jail/spec.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// A new instance of spec type `mount.type` ("proc", "tmpfs", "devpts", "mqueue", …), not attached yet.
sys::Result<sys::Fd> new_file_system(const Mount& mount, const MountOptions& options);

// A read-only view of the host's /sys, for a container in a user namespace that shares the network: the kernel gives it
// no sysfs of its own.
sys::Result<sys::Fd> host_sysfs();

// Attaches the container's own cgroup folders, read-only, at `target`: the v2 folder alone, or on hybrid hosts one
// folder per hierarchy.
sys::Result<void> attach_cgroups(int target, const MountOptions& options, const Cgroup& cgroup);

}  // namespace jail
