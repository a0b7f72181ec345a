// What packing reads of one open file or folder.
#pragma once

#include <sys/stat.h>

#include "layer/metadata.h"
#include "layer/output.h"
#include "layer/tar_entry.h"
#include "sys/result.h"

namespace layer {

// `entry.xattrs` are the attributes that an image may carry, sorted by name. One whose name tar can't write ('=' in it)
// is a warning.
sys::Result<void> read_xattrs(int fd, Entry& entry, Warnings& warnings);

// `output` has exactly as many bytes as `status` says the file has, and zeros up to a whole block. Holes are not read.
// False: the file has another size now; what it lacked are zeros.
sys::Result<bool> copy_file(int fd, const struct stat& status, Output& output);

}  // namespace layer
