#include "jail/masks.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "jail/devices.h"
#include "sys/kernel.h"

namespace jail {
namespace {

constexpr unsigned kOntoFd = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

sys::Result<sys::Fd> find(int root, const std::string& path, const std::string& step) {
  sys::Fd target(sys::openat2(root, path.c_str(), O_PATH, sys::kInRoot));
  if (!target && errno != ENOENT) return sys::errno_error(step, path);
  return target;
}

sys::Result<sys::Fd> empty_folder(const std::string& step) {
  const sys::Fd context(sys::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context) return sys::errno_error(step);
  const bool configured = sys::fsconfig(context.get(), FSCONFIG_SET_STRING, "nr_inodes", "1", 0) == 0 &&
                          sys::fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", "0555", 0) == 0 &&
                          sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  if (!configured) return sys::errno_error(step);
  sys::Fd mount(sys::fsmount(context.get(), FSMOUNT_CLOEXEC,
                             MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!mount) return sys::errno_error(step);
  return mount;
}

sys::Result<sys::Fd> clone_of(int mount, const std::string& step) {
  sys::Fd clone(sys::open_tree(mount, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  if (!clone) return sys::errno_error(step);
  return clone;
}

}  // namespace

sys::Result<void> make_read_only(int root, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const std::string step = "read-only " + path;
    auto target = find(root, path, step);
    if (!target) return target.take_failure();
    if (!*target) continue;
    const sys::Fd clone(
        sys::open_tree(target->get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
    if (!clone) return sys::errno_error(step, path);
    struct mount_attr attributes {};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (sys::mount_setattr(clone.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, attributes) != 0 ||
        sys::move_mount(clone.get(), "", target->get(), "", kOntoFd) != 0) {
      return sys::errno_error(step, path);
    }
  }
  return {};
}

sys::Result<void> mask_paths(int root, const std::vector<std::string>& paths) {
  if (paths.empty()) return {};
  auto null = open_null();
  if (!null) return null.take_failure();
  sys::Fd folder;  // the first one, once it is attached: before Linux 6.15 only attached mounts can be cloned
  for (const std::string& path : paths) {
    const std::string step = "mask " + path;
    auto target = find(root, path, step);
    if (!target) return target.take_failure();
    if (!*target) continue;
    struct stat info {};
    if (fstat(target->get(), &info) != 0) return sys::errno_error(step, path);
    const bool first_folder = S_ISDIR(info.st_mode) && !folder;
    auto mask = !S_ISDIR(info.st_mode) ? clone_of(null->get(), step)
                : first_folder         ? empty_folder(step)
                                       : clone_of(folder.get(), step);
    if (!mask) return mask.take_failure();
    if (sys::move_mount(mask->get(), "", target->get(), "", kOntoFd) != 0) return sys::errno_error(step, path);
    if (first_folder) folder = std::move(*mask);
  }
  return {};
}

}  // namespace jail
