// The nodes and links of /dev.
#pragma once

#include <vector>

#include "jail/spec.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// `dev`, the root of a tmpfs that nothing else has touched yet, has the nodes every container has (null zero full
// random urandom tty), the links fd, stdin, stdout, stderr, core and ptmx, and `devices`. Where mknod(2) is refused, as
// in a user namespace, the host's nodes are bind mounted. umask must be 0.
sys::Result<void> populate_dev(int dev, const std::vector<Device>& devices);

// A verified descriptor (O_PATH) of the host's null device; reads of a mask must never reach something else
// (CVE-2025-31133).
sys::Result<sys::Fd> open_null();

}  // namespace jail
