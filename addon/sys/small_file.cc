#include "sys/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/bytes.h"

namespace sys {

Result<Fd> open(int dir, const char* path, int flags, mode_t mode) {
  Fd fd(::openat(dir, path, flags | O_CLOEXEC, mode));
  if (!fd) return errno_error("open", path);
  return fd;
}

Result<std::string> read_opened(int fd, const std::string& name, size_t limit) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return errno_error("stat", name);
  if (!S_ISREG(info.st_mode)) {
    Error failure = error("read", name + " is not a regular file", EINVAL);
    failure.path = name;
    return failure;
  }
  // Sparse files of gigabytes cost the attacker nothing: refused before a byte is read.
  if (info.st_size > 0 && static_cast<uint64_t>(info.st_size) > limit) return errno_error("read", name, EFBIG);
  auto data = read_all(fd, limit);
  if (data) return data;
  Error failure = data.take_failure();
  failure.path = name;
  return failure;
}

Result<std::string> read_file(int dir, const char* path, size_t limit) {
  auto fd = open(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) return fd.take_failure();
  return read_opened(fd->get(), path, limit);
}

Result<std::string> read_file(const std::string& path, size_t limit) {
  return read_file(AT_FDCWD, path.c_str(), limit);
}

Result<void> write_knob(int dir, const char* path, std::string_view data) {
  auto fd = open(dir, path, O_WRONLY | O_NOFOLLOW);
  if (!fd) return fd.take_failure();
  ssize_t n = 0;
  do {
    n = ::write(fd->get(), data.data(), data.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno_error("write", path);
  if (static_cast<size_t>(n) != data.size()) return errno_error("write", path, EIO);
  return {};
}

Result<void> replace_file(int dir, const char* name, std::string_view data, mode_t mode, bool sync) {
  const std::string temporary = std::string(".") + name + ".new";
  // O_EXCL keeps a planted link from being written through.
  constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  auto fd = open(dir, temporary.c_str(), kNew, mode);
  if (!fd && fd.failure().err == EEXIST) {
    // A crash left it behind.
    ::unlinkat(dir, temporary.c_str(), 0);
    fd = open(dir, temporary.c_str(), kNew, mode);
  }
  if (!fd) return fd.take_failure();
  auto written = write_all(fd->get(), data);
  if (written && sync && ::fsync(fd->get()) != 0) written = errno_error("fsync", name);
  if (written && ::renameat(dir, temporary.c_str(), dir, name) != 0) written = errno_error("rename", name);
  if (!written) {
    ::unlinkat(dir, temporary.c_str(), 0);
    return written;
  }
  if (sync) {
    auto folder = open(dir, ".", O_RDONLY | O_DIRECTORY);
    if (!folder) return folder.take_failure();
    if (::fsync(folder->get()) != 0) return errno_error("fsync", name);
  }
  return {};
}

}  // namespace sys
