// Everything that the specification mounts below the root.
#pragma once

#include <vector>

#include "jail/cgroup.h"
#include "jail/spec.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// Detached copies of the host's folders and files that bind mounts are made from, in the order of spec.mounts; empty
// for other types. To be called before stop_propagation(), so that a "shared" one stays a peer of the host's mount.
sys::Result<std::vector<sys::Fd>> open_sources(const Spec& spec);

// What is mounted but not yet attached.
struct Prepared {
  std::vector<sys::Fd> sources;  // of open_sources()
  sys::Fd proc;                  // a private_procfs(), maybe: for /proc, when that is to have the same attributes
};

// What later steps need of what was mounted.
struct Mounted {
  sys::Fd dev;     // the tmpfs on /dev, when the specification has one
  sys::Fd devpts;  // the devpts instance on /dev/pts
};

// All of spec.mounts are in place below `root`, in their order, /dev is populated and volumes are filled. umask must be
// 0.
sys::Result<Mounted> mount_all(int root, const Spec& spec, Prepared prepared, const Cgroup& cgroup);

}  // namespace jail
