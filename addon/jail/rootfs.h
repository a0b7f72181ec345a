// The container's root: an overlay or a folder, attached in the calling process's mount namespace, and the way into it.
#pragma once

#include "jail/spec.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// Nothing that is mounted from here on reaches other mount namespaces.
sys::Result<void> stop_propagation();

// The root is mounted on top of the host's "/" in this mount namespace, where path lookups of this process don't see
// it; the result is its descriptor. Writable ones stay writable until finish_rootfs, so that mount points can be made.
sys::Result<sys::Fd> mount_rootfs(const Rootfs& rootfs);

// The overlay itself, attached nowhere: of a volume that stands on layers.
sys::Result<sys::Fd> mount_stack(const Rootfs& stack);

// A root that was asked to be read-only is.
sys::Result<void> finish_rootfs(int root, const Rootfs& rootfs);

// `root` is "/" of this process and its mount namespace; the host's tree is gone from it; the working directory is "/".
sys::Result<void> enter_rootfs(int root);

}  // namespace jail
