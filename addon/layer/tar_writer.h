// The blocks that begin a member: ustar (POSIX.1-1988) where it can tell all, with a PAX extended header (pax(1))
// before it where it can't. Everybody reads these; GNU's own forms are written nowhere.
#pragma once

#include <string>

#include "layer/tar_entry.h"

namespace layer {

// Appends them. `entry.size` counts for files alone; its data, padded to whole blocks, is the caller's to write after
// them. The same entry gives the same bytes. `accessed` and `sparse` are not written: OCI's layer.md advises against
// sparse files, which many readers can't read.
void append_header(std::string& out, const Entry& entry);

// What stands after the last member.
constexpr size_t kTrailerSize = 1024;

// Bytes that fill `size` of them up to a whole block.
constexpr size_t padding_of(uint64_t size) { return static_cast<size_t>((512 - size % 512) % 512); }

}  // namespace layer
