// Removal of a folder with all that is in it, by descriptors only.
#pragma once

#include <sys/types.h>

#include <functional>

#include "sys/result.h"

namespace layer {

// `name` in `parent`, a folder, is gone; `gone` was told the inode number of each folder removed. Uses two descriptors
// however deep the tree is, follows no link, and fails rather than climb into another folder if someone moves the tree
// meanwhile.
sys::Result<void> remove_tree(int parent, const char* name, const std::function<void(ino_t)>& gone);

}  // namespace layer
