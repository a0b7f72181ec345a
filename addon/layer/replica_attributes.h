// What a copy of an upper folder takes over of a file besides its content.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "sys/result.h"

namespace layer {

// Attributes that an image may carry, overlayfs's marks of what is not there, and what an overlay mounted in the
// container keeps there. Not where overlayfs found a file before it was copied up, which does not hold for a copy.
bool belongs_to_copy(std::string_view attribute);

// The file or folder `to` has the owner, attributes, mode and times of `from`, whose status this is, and no attributes
// but these. Last of all for a folder: after what is in it.
sys::Result<void> copy_attributes(int from, int to, const struct stat& status);

// A link or node, never followed: owner and times; a node's mode is what it was made with.
sys::Result<void> give_status(int parent, const std::string& name, const struct stat& status);

}  // namespace layer
