// Shared by the parts of Cgroup.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace jail {

constexpr size_t kMaxCgroupFile = size_t{1} << 20U;

std::vector<std::string> split_words(std::string_view text, char separator);

}  // namespace jail
