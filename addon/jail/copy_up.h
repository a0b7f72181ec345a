// Filling a fresh volume with what the image has at its place.
#pragma once

#include "sys/result.h"

namespace jail {

// When the folder `volume` is empty it holds a copy of `image`: owners, modes, extended attributes, times, hard links,
// symbolic links, devices where the kernel allows them, and the folder's own owner and mode (database images rely on
// those). A folder with any entry is left alone. Both are descriptors, O_PATH will do. Links are copied, never
// followed; mounts below `image` are not entered.
sys::Result<void> copy_up(int image, int volume);

// The folder `to` has the owner, mode, times and extended attributes of `from`, as far as its file system can hold
// them.
sys::Result<void> copy_attributes(int from, int to);

}  // namespace jail
