// Files of a bundle that are mounted into its container, where their text changes while it lives. The container may
// have written anything into them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "sys/result.h"

namespace supervisor {

// The file has the text that `change` makes of the one it has, in place: over a file that is put beside it and renamed
// the mount would not change. One that is missing, or too large to be what it should be, stays as it is. After a
// failure it has the text it had.
sys::Result<void> edit_in_place(const std::string& path, const std::function<std::string(const std::string&)>& change);

// The lines, without their newlines; the last may have none.
void for_each_line(std::string_view text, const std::function<void(std::string_view line, bool ended)>& visit);

}  // namespace supervisor
