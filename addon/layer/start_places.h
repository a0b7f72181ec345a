// The places that a start makes for its own mounts. Docker has them in a layer of its own, below the container's.
#pragma once

#include <sys/stat.h>

#include <string_view>

namespace layer {

// What the upper folder has at `path` (relative to the root, without a leading slash) is such a place, where the layers
// below have nothing of the name.
bool made_by_start(std::string_view path, const struct stat& status);

}  // namespace layer
