// Whole reads and writes, whatever the kernel delivers at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "sys/result.h"

namespace sys {

// All of `data` was written. EINTR is retried; on a full non-blocking descriptor it is the error EAGAIN.
Result<void> write_all(int fd, const void* data, size_t size);
inline Result<void> write_all(int fd, std::string_view data) { return write_all(fd, data.data(), data.size()); }

// Exactly `size` bytes were read; an earlier end of file is the error "read" with errno 0.
Result<void> read_exact(int fd, void* data, size_t size);

// Everything up to the end of file. More than `limit` bytes is the error EFBIG.
Result<std::string> read_all(int fd, size_t limit);

}  // namespace sys
