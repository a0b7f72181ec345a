// How overlayfs writes in a layer's folder what is not there (Documentation/filesystems/overlayfs.rst).
#pragma once

#include <sys/stat.h>

#include <string>

namespace layer {

// The open file or folder has overlayfs's attribute `name`, in either namespace; `value` 0: whatever its value.
bool has_overlay_mark(int fd, const char* name, char value);

// `name` in the folder hides what lower layers have: a character device 0:0, or, where those cannot be made, an empty
// file with an attribute. `status` is the name's own.
bool is_whiteout(int parent, const std::string& name, const struct stat& status);

}  // namespace layer
