#include "layer/locate.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "layer/name.h"
#include "sys/kernel.h"

namespace layer {
namespace {

constexpr const char* kStep = "find";
constexpr int kMaxLinks = 40;  // path_resolution(7)
constexpr size_t kMaxDepth = 4096;

constexpr unsigned long kKernelFiles[] = {
    PROC_SUPER_MAGIC,        SYSFS_MAGIC,
    CGROUP_SUPER_MAGIC,      CGROUP2_SUPER_MAGIC,
    DEBUGFS_MAGIC,           TRACEFS_MAGIC,
    SECURITYFS_MAGIC,        BPF_FS_MAGIC,
    PSTOREFS_MAGIC,          EFIVARFS_MAGIC,
    DEVPTS_SUPER_MAGIC,      BINFMTFS_MAGIC,
    SELINUX_MAGIC,           0x62656570 /* configfs */,
    0x19800202 /* mqueue */,
};

sys::Error failed(std::string_view path, int err = errno) { return sys::errno_error(kStep, printable(path), err); }

sys::Result<std::string> clean(std::string_view path) {
  auto cleaned = clean_name(path, kMaxDepth);
  if (!cleaned) return failed(path, cleaned.failure().err != 0 ? cleaned.failure().err : ENAMETOOLONG);
  return cleaned;
}

bool asks_for_folder(std::string_view path) { return path.ends_with('/') || path.ends_with("/.") || path == "."; }

}  // namespace

bool is_kernel_files(int fd) {
  struct statfs info = {};
  if (fstatfs(fd, &info) != 0) return true;
  const auto magic = static_cast<unsigned long>(info.f_type);
  return std::find(std::begin(kKernelFiles), std::end(kKernelFiles), magic) != std::end(kKernelFiles);
}

sys::Result<Located> locate(int root, std::string_view path, bool follow) {
  auto cleaned = clean(path);
  for (int links = 0; cleaned; links++) {
    if (links > kMaxLinks) return failed(path, ELOOP);
    Located located;
    located.path = *cleaned;
    located.name = base_of(located.path);
    const std::string folder(parent_of(located.path));
    located.parent.reset(sys::openat2(root, folder.empty() ? "." : folder.c_str(), O_PATH | O_DIRECTORY, sys::kInRoot));
    if (!located.parent) return failed(path);
    std::array<char, PATH_MAX> target{};
    const ssize_t size = follow && !located.name.empty()
                             ? readlinkat(located.parent.get(), located.name.c_str(), target.data(), target.size())
                             : -1;
    if (size <= 0) return located;
    const std::string_view link(target.data(), static_cast<size_t>(size));
    cleaned = clean(link.starts_with('/') ? std::string(link) : folder + "/" + std::string(link));
  }
  return cleaned.take_failure();
}

sys::Result<Destination> settle_destination(int root, std::string_view path, const Source& source) {
  auto located = locate(root, path, true);
  if (!located) return located.take_failure();
  Destination destination;
  destination.path = located->path;
  struct stat status = {};
  const bool exists =
      located->name.empty() || fstatat(located->parent.get(), located->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!exists && errno != ENOENT) return failed(path);
  if (!exists) {
    // A file can't become the folder that was asked for.
    if (asks_for_folder(path) && !source.folder) return failed(path, ENOENT);
    return destination;
  }
  if (!located->name.empty() && !S_ISDIR(status.st_mode)) {
    if (source.folder) return failed(path, EISDIR);
    if (asks_for_folder(path)) return failed(path, ENOTDIR);
    return destination;
  }
  if (source.contents || source.name.empty()) {
    destination.exists = true;
  } else {
    destination.path += (destination.path.empty() ? "" : "/") + source.name;
  }
  return destination;
}

}  // namespace layer
