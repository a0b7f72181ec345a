// The working directory of a container's process.
#pragma once

#include <string>

#include "sys/result.h"

namespace jail {

// `cwd` exists within `root`, made as root if it was missing, as Docker does for an image's WORKDIR.
sys::Result<void> create_cwd(int root, const std::string& cwd);

// `cwd`, looked up as the current user, is the working directory and lies inside the root. The error has exit code 126
// or 127.
sys::Result<void> enter_cwd(const std::string& cwd);

}  // namespace jail
