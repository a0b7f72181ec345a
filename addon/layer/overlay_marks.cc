#include "layer/overlay_marks.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "sys/fd.h"

namespace layer {

bool has_overlay_mark(int fd, const char* name, char value) {
  for (const char* prefix : {"trusted.overlay.", "user.overlay."}) {
    char found = 0;
    const std::string key = std::string(prefix) + name;
    const ssize_t length = fgetxattr(fd, key.c_str(), &found, 1);
    if (length >= 0 && (value == 0 || (length == 1 && found == value))) return true;
  }
  return false;
}

bool is_whiteout(int parent, const std::string& name, const struct stat& status) {
  if (S_ISCHR(status.st_mode)) return status.st_rdev == makedev(0, 0);
  if (!S_ISREG(status.st_mode) || status.st_size != 0) return false;
  const sys::Fd fd(openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  return fd && has_overlay_mark(fd.get(), "whiteout", 0);
}

}  // namespace layer
