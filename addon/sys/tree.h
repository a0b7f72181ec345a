// Removing folders whose content somebody else made.
#pragma once

#include <cstdint>
#include <string>

#include "sys/result.h"

namespace sys {

// `path` and everything below it is gone; a missing one is fine. Symbolic links are removed, never followed, and no
// mount is entered (that is the error EXDEV): only the last component's parent is resolved as a path. Trees of any
// depth, also while somebody is still writing into it. Goes on after a failure and returns the first. Returns how many
// bytes the file system got back, where `measure` asks for it (a stat per file).
Result<uint64_t> remove_tree(const std::string& path, bool measure = false);

}  // namespace sys
