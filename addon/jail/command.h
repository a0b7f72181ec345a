// Which file argv[0] means.
#pragma once

#include <string>
#include <vector>

#include "sys/result.h"

namespace jail {

// The path to execute, found as the current user in the current root: argv[0] itself when it has a slash, else the
// first executable file of that name in PATH of `env`. The error has exit code 127 when there is none and 126 when
// there is one that may not be executed.
sys::Result<std::string> find_command(const std::string& name, const std::vector<std::string>& env);

// What a failed execve(2) of `path` means, with its exit code.
sys::Error execve_error(const std::string& path, int err);

}  // namespace jail
