#include "layer/pack_file.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "layer/name.h"
#include "layer/tar_writer.h"
#include "layer/xattrs.h"

namespace layer {
namespace {

constexpr const char* kStep = "read tree";
constexpr size_t kUsualXattr = 4096;
constexpr size_t kMaxXattr = 65536;  // XATTR_SIZE_MAX and XATTR_LIST_MAX

// All of what `read` gives, with a larger buffer where the usual one is too small. Empty: there is none (any more).
template <class Read>
sys::Result<std::string> read_attribute(Read read, bool& present) {
  std::string value;
  for (const size_t size : {kUsualXattr, kMaxXattr}) {
    value.resize(size);
    const ssize_t filled = read(value.data(), value.size());
    present = filled >= 0;
    if (present) {
      value.resize(static_cast<size_t>(filled));
      return value;
    }
    if (errno == ENODATA || errno == EOPNOTSUPP) return std::string();
    if (errno != ERANGE) break;
  }
  return sys::errno_error(kStep);
}

// Where the next stored bytes begin and end, from `from` on; a file system that can't tell has no holes.
struct Extent {
  uint64_t begin;
  uint64_t end;
};
Extent next_extent(int fd, uint64_t from, uint64_t size) {
  const off_t data = lseek(fd, static_cast<off_t>(from), SEEK_DATA);
  if (data < 0) return errno == ENXIO ? Extent{size, size} : Extent{from, size};
  const off_t hole = lseek(fd, data, SEEK_HOLE);
  const uint64_t begin = std::min(static_cast<uint64_t>(data), size);
  return {begin, hole < 0 ? size : std::min(static_cast<uint64_t>(hole), size)};
}

// Returns how many of the bytes there were; fewer at the end of the file.
sys::Result<uint64_t> copy_bytes(int fd, uint64_t from, uint64_t size, Output& output) {
  uint64_t done = 0;
  while (done < size) {
    auto space = output.room();
    if (!space) return space.take_failure();
    const size_t part = static_cast<size_t>(std::min<uint64_t>(space->size(), size - done));
    const ssize_t filled = pread(fd, space->data(), part, static_cast<off_t>(from + done));
    if (filled < 0 && errno == EINTR) continue;
    if (filled < 0) return sys::errno_error(kStep);
    if (filled == 0) break;
    output.advance(static_cast<size_t>(filled));
    done += static_cast<uint64_t>(filled);
  }
  return done;
}

}  // namespace

sys::Result<void> read_xattrs(int fd, Entry& entry, Warnings& warnings) {
  bool present = false;
  auto list = read_attribute([fd](char* data, size_t size) { return flistxattr(fd, data, size); }, present);
  if (!list) return list.take_failure();
  for (size_t at = 0; at < list->size();) {
    const std::string name = list->c_str() + at;
    at += name.size() + 1;
    if (!belongs_to_image(name)) continue;
    if (name.find('=') != std::string::npos) {
      warnings.add("attribute " + printable(name) + " left out, of " + printable(entry.name));
      continue;
    }
    auto value =
        read_attribute([&](char* data, size_t size) { return fgetxattr(fd, name.c_str(), data, size); }, present);
    if (!value) return value.take_failure();
    if (present) entry.xattrs.push_back({name, std::move(*value)});
  }
  std::sort(entry.xattrs.begin(), entry.xattrs.end(), [](const Xattr& a, const Xattr& b) { return a.name < b.name; });
  return {};
}

sys::Result<bool> copy_file(int fd, const struct stat& status, Output& output) {
  const auto size = static_cast<uint64_t>(status.st_size);
  const bool sparse = static_cast<uint64_t>(status.st_blocks) * 512 < size;
  for (uint64_t at = 0; at < size;) {
    const Extent extent = sparse ? next_extent(fd, at, size) : Extent{0, size};
    SYS_TRY(output.zeros(extent.begin - at));
    auto copied = copy_bytes(fd, extent.begin, extent.end - extent.begin, output);
    if (!copied) return copied.take_failure();
    at = extent.begin + *copied;
    if (at == extent.end) continue;
    SYS_TRY(output.zeros(size - at));
    break;
  }
  SYS_TRY(output.zeros(padding_of(size)));
  struct stat now = {};
  if (fstat(fd, &now) != 0) return sys::errno_error(kStep);
  return now.st_size == status.st_size;
}

}  // namespace layer
