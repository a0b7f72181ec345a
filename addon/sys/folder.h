// What a folder holds.
#pragma once

#include <string>
#include <vector>

#include "sys/result.h"

namespace sys {

// The names in the folder that `fd` is (O_PATH too), sorted, without "." and "..". One that is removed meanwhile is
// empty. The descriptor's own position is left alone, and no other is open afterwards. Errors have the step given.
Result<std::vector<std::string>> folder_names(int fd, const char* step);

}  // namespace sys
