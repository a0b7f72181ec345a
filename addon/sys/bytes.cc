#include "sys/bytes.h"

#include <unistd.h>

namespace sys {

Result<void> write_all(int fd, const void* data, size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, at, size);
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno_error("write");
    }
    at += n;
    size -= static_cast<size_t>(n);
  }
  return {};
}

Result<void> read_exact(int fd, void* data, size_t size) {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = ::read(fd, at, size);
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno_error("read");
    }
    if (n == 0) return error("read", "unexpected end of file");
    at += n;
    size -= static_cast<size_t>(n);
  }
  return {};
}

Result<std::string> read_all(int fd, size_t limit) {
  std::string data;
  size_t used = 0;
  for (;;) {
    if (data.size() - used < 4096) data.resize(data.size() < 4096 ? 4096 : data.size() * 2);
    const ssize_t n = ::read(fd, data.data() + used, data.size() - used);
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno_error("read");
    }
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > limit) return errno_error("read", {}, EFBIG);
  }
  data.resize(used);
  return data;
}

}  // namespace sys
