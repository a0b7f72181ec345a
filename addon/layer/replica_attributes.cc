#include "layer/replica_attributes.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <vector>

#include "layer/xattrs.h"

namespace layer {
namespace {

constexpr const char* kStep = "copy";

// Empty where there are none, or none can be.
sys::Result<std::vector<std::string>> names_of(int fd) {
  std::vector<std::string> names;
  // Most files have none, and the buffer is large.
  ssize_t size = flistxattr(fd, nullptr, 0);
  if (size == 0 || (size < 0 && errno == EOPNOTSUPP)) return names;
  std::string list(XATTR_LIST_MAX, '\0');
  size = flistxattr(fd, list.data(), list.size());
  if (size < 0) return sys::errno_error(kStep);
  list.resize(static_cast<size_t>(size));
  for (size_t at = 0; at < list.size(); at = list.find('\0', at) + 1) names.emplace_back(list.c_str() + at);
  return names;
}

sys::Result<void> copy_xattrs(int from, int to) {
  auto names = names_of(from);
  if (!names) return names.take_failure();
  std::string value;
  for (const std::string& name : *names) {
    if (!belongs_to_copy(name)) continue;
    value.resize(XATTR_SIZE_MAX);
    const ssize_t size = fgetxattr(from, name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ENODATA) continue;
    if (size < 0 || fsetxattr(to, name.c_str(), value.data(), static_cast<size_t>(size), 0) != 0)
      return sys::errno_error(kStep);
  }
  auto present = names_of(to);
  if (!present) return present.take_failure();
  for (const std::string& name : *present) {
    if (!belongs_to_copy(name) || fgetxattr(from, name.c_str(), nullptr, 0) >= 0) continue;
    if (fremovexattr(to, name.c_str()) != 0 && errno != ENODATA) return sys::errno_error(kStep);
  }
  return {};
}

}  // namespace

bool belongs_to_copy(std::string_view attribute) {
  for (const std::string_view prefix : {"trusted.overlay.", "user.overlay."}) {
    if (!attribute.starts_with(prefix)) continue;
    attribute.remove_prefix(prefix.size());
    return attribute == "opaque" || attribute == "whiteout" || attribute.starts_with("overlay.");
  }
  return attribute.starts_with("trusted.") || belongs_to_image(attribute);
}

// In the order that keeps them: chown(2) clears mode bits and capabilities, an ACL changes the mode, all else the
// times.
sys::Result<void> copy_attributes(int from, int to, const struct stat& status) {
  if (fchown(to, status.st_uid, status.st_gid) != 0) return sys::errno_error(kStep);
  SYS_TRY(copy_xattrs(from, to));
  if (fchmod(to, status.st_mode & 07777) != 0) return sys::errno_error(kStep);
  const timespec times[2] = {status.st_atim, status.st_mtim};
  if (futimens(to, times) != 0) return sys::errno_error(kStep);
  return {};
}

sys::Result<void> give_status(int parent, const std::string& name, const struct stat& status) {
  if (fchownat(parent, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    return sys::errno_error(kStep);
  const timespec times[2] = {status.st_atim, status.st_mtim};
  if (utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return sys::errno_error(kStep);
  return {};
}

}  // namespace layer
