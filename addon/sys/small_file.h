// Small files: configuration, cgroup and procfs knobs, a container's passwd.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "sys/fd.h"
#include "sys/result.h"

namespace sys {

// The content of a small file. O_NONBLOCK and a check of the type, so that a FIFO or a device cannot block or flood us:
// anything but a regular file is the error EINVAL, more than `limit` bytes EFBIG. (procfs, sysfs and cgroup files are
// regular.)
Result<std::string> read_file(int dir, const char* path, size_t limit);
Result<std::string> read_file(const std::string& path, size_t limit);
// The same for a descriptor that was opened with O_NONBLOCK by other rules (openat2 in a root).
Result<std::string> read_opened(int fd, const std::string& name, size_t limit);

// `data` was given to the existing file in one write(2), as kernel knobs need it.
Result<void> write_knob(int dir, const char* path, std::string_view data);

// The file `name` in `dir` holds `data`, atomically: written beside it and renamed over it; with `sync` it survives a
// power cut.
Result<void> replace_file(int dir, const char* name, std::string_view data, mode_t mode, bool sync);

// An O_CLOEXEC descriptor.
Result<Fd> open(int dir, const char* path, int flags, mode_t mode = 0);

}  // namespace sys
