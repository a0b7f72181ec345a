#include "sys/copy.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "sys/bytes.h"

namespace sys {
namespace {

constexpr off_t kMaxRange = off_t{1} << 30U;
constexpr size_t kBufferSize = size_t{1} << 17U;

// Not all pairs of file systems can copy in the kernel.
bool is_refusal(int err) { return err == EXDEV || err == EINVAL || err == EOPNOTSUPP || err == ENOSYS; }

Result<void> copy_through_buffer(int from, int to, off_t at, off_t end) {
  std::string buffer(kBufferSize, '\0');
  if (lseek(to, at, SEEK_SET) < 0) return errno_error("copy");
  while (at < end) {
    const size_t wanted = std::min<size_t>(buffer.size(), static_cast<size_t>(end - at));
    const ssize_t size = pread(from, buffer.data(), wanted, at);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno_error("copy");
    if (size == 0) return {};  // somebody made it shorter
    auto written = write_all(to, buffer.data(), static_cast<size_t>(size));
    if (!written) return errno_error("copy", {}, written.failure().err);
    at += size;
  }
  return {};
}

Result<void> copy_run(int from, int to, off_t at, off_t end) {
  loff_t in = at;
  loff_t out = at;
  while (in < end) {
    const ssize_t size = copy_file_range(from, &in, to, &out, static_cast<size_t>(std::min(end - in, kMaxRange)), 0);
    if (size < 0 && is_refusal(errno)) return copy_through_buffer(from, to, in, end);
    if (size < 0) return errno_error("copy");
    if (size == 0) return {};
  }
  return {};
}

}  // namespace

Result<void> copy_content(int from, int to) {
  if (ioctl(to, FICLONE, from) == 0) return {};
  struct stat info {};
  if (fstat(from, &info) != 0) return errno_error("copy");
  for (off_t at = 0; at < info.st_size;) {
    const off_t data = lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole to the end
    // A file system that knows no holes says so: then all of it is data.
    const off_t start = data < 0 ? at : data;
    const off_t hole = data < 0 ? info.st_size : lseek(from, start, SEEK_HOLE);
    const off_t end = hole < 0 ? info.st_size : hole;
    SYS_TRY(copy_run(from, to, start, end));
    at = end;
  }
  if (ftruncate(to, info.st_size) != 0) return errno_error("copy");
  return {};
}

}  // namespace sys
