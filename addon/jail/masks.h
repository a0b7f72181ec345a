// Paths of /proc and /sys that a container may not write or not see.
#pragma once

#include <string>
#include <vector>

#include "sys/result.h"

namespace jail {

// Each path within `root` is a read-only mount; a missing one is skipped.
sys::Result<void> make_read_only(int root, const std::vector<std::string>& paths);

// Each path within `root` is covered: a file by the host's verified null device, a folder by an empty read-only tmpfs.
// Only a missing one is skipped.
sys::Result<void> mask_paths(int root, const std::vector<std::string>& paths);

}  // namespace jail
