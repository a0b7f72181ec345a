#include "layer/attributes.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

namespace layer {
namespace {

bool is_carried(const std::string& name) {
  return name.rfind("trusted.overlay.", 0) != 0 && name.rfind("user.overlay.", 0) != 0 && name != "security.selinux";
}

// The calls by descriptor refuse O_PATH; the link in procfs leads to the very file, even to a link, which is not
// followed further.
std::string by_descriptor(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

// Without procfs where that can be: a process that has given up its root has none.
ssize_t list_names(int fd, char* names, size_t size) {
  const ssize_t length = flistxattr(fd, names, size);
  return length < 0 && errno == EBADF ? listxattr(by_descriptor(fd).c_str(), names, size) : length;
}

ssize_t get_value(int fd, const std::string& name, std::string& value) {
  const ssize_t size = fgetxattr(fd, name.c_str(), value.data(), value.size());
  return size < 0 && errno == EBADF ? getxattr(by_descriptor(fd).c_str(), name.c_str(), value.data(), value.size())
                                    : size;
}

// Ids that are right already are left alone: in a user namespace they may be ones that it has no number for.
sys::Result<void> give_owner(int fd, const struct stat& from, const char* step, const std::string& path) {
  struct stat present {};
  if (fstat(fd, &present) != 0) return sys::errno_error(step, path);
  if (geteuid() != 0 || (present.st_uid == from.st_uid && present.st_gid == from.st_gid)) return {};
  if (fchownat(fd, "", from.st_uid, from.st_gid, AT_EMPTY_PATH) != 0) return sys::errno_error(step, path);
  return {};
}

}  // namespace

sys::Result<Attributes> attributes_of(int fd, const char* step, const std::string& path) {
  Attributes found;
  if (fstat(fd, &found.status) != 0) return sys::errno_error(step, path);
  // Most files have none, and the buffers are large.
  ssize_t length = list_names(fd, nullptr, 0);
  if (length == 0 || (length < 0 && errno == ENOTSUP)) return found;
  std::string names(XATTR_LIST_MAX, '\0');
  length = list_names(fd, names.data(), names.size());
  if (length < 0) return sys::errno_error(step, path);
  names.resize(static_cast<size_t>(length));
  std::string value(XATTR_SIZE_MAX, '\0');
  for (size_t at = 0; at < names.size(); at = names.find('\0', at) + 1) {
    const std::string name(names.c_str() + at);
    if (!is_carried(name)) continue;
    const ssize_t size = get_value(fd, name, value);
    if (size < 0) return sys::errno_error(step, path);
    found.xattrs[name] = value.substr(0, static_cast<size_t>(size));
  }
  return found;
}

// In the order that keeps them: chown(2) clears mode bits and capabilities, an ACL changes the mode.
sys::Result<void> give(int fd, const Attributes& from, const char* step, const std::string& path) {
  SYS_TRY(give_owner(fd, from.status, step, path));
  const std::string file = by_descriptor(fd);
  for (const auto& [name, value] : from.xattrs) {
    if (setxattr(file.c_str(), name.c_str(), value.data(), value.size(), 0) != 0) return sys::errno_error(step, path);
  }
  if (!S_ISLNK(from.status.st_mode) && chmod(file.c_str(), from.status.st_mode & 07777) != 0)
    return sys::errno_error(step, path);
  return {};
}

sys::Result<void> give_times(int fd, const Attributes& from, const char* step, const std::string& path) {
  const timespec times[2] = {from.status.st_atim, from.status.st_mtim};
  if (utimensat(AT_FDCWD, by_descriptor(fd).c_str(), times, 0) != 0) return sys::errno_error(step, path);
  return {};
}

}  // namespace layer
