#include "jail/file_systems.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <string>

#include "sys/kernel.h"

namespace jail {
namespace {

constexpr unsigned kOntoFd = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

sys::Result<void> set_option(int context, const std::string& key, const std::string& value, const std::string& step) {
  const unsigned command = value.empty() ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  if (sys::fsconfig(context, command, key.c_str(), value.empty() ? nullptr : value.c_str(), 0) != 0) {
    sys::Error failure = sys::errno_error(step);
    failure.message = "option '" + key + (value.empty() ? "" : "=" + value) + "' was refused";
    return failure;
  }
  return {};
}

sys::Result<void> attach_folder(int place, const std::string& path, uint64_t attributes) {
  const std::string step = "mount cgroup";
  const sys::Fd clone(sys::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!clone) return sys::errno_error(step, path);
  struct mount_attr attr {};
  attr.attr_set = attributes;
  attr.propagation = MS_PRIVATE;
  if (sys::mount_setattr(clone.get(), "", AT_EMPTY_PATH, attr) != 0 ||
      sys::move_mount(clone.get(), "", place, "", kOntoFd) != 0) {
    return sys::errno_error(step, path);
  }
  return {};
}

std::string folder_name(const CgroupView& view) {
  if (view.v2) return "unified";
  std::string name;
  for (const std::string& controller : view.controllers) name += (name.empty() ? "" : ",") + controller;
  return name;
}

}  // namespace

sys::Result<sys::Fd> new_file_system(const Mount& mount, const MountOptions& options) {
  const std::string step = "mount " + mount.destination;
  const sys::Fd context(sys::fsopen(mount.type.c_str(), FSOPEN_CLOEXEC));
  if (!context) {
    sys::Error failure = sys::errno_error(step);
    failure.message = "file system type '" + mount.type + "' is not known to this kernel";
    return failure;
  }
  if (!mount.source.empty()) SYS_TRY(set_option(context.get(), "source", mount.source, step));
  for (const auto& [key, value] : options.data) SYS_TRY(set_option(context.get(), key, value, step));
  if (sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return sys::errno_error(step);
  sys::Fd fd(sys::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(options.set)));
  if (!fd) return sys::errno_error(step);
  return fd;
}

sys::Result<sys::Fd> host_sysfs() {
  sys::Fd clone(sys::open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!clone) return sys::errno_error("mount /sys");
  struct mount_attr attributes {};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  attributes.propagation = MS_PRIVATE;
  if (sys::mount_setattr(clone.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, attributes) != 0) {
    return sys::errno_error("mount /sys");
  }
  return clone;
}

sys::Result<void> attach_cgroups(int target, const MountOptions& options, const Cgroup& cgroup) {
  const std::vector<CgroupView> views = cgroup.views();
  // Always read-only, whatever was asked: a writable v1 folder has a release_agent (CVE-2022-0492), and in a user
  // namespace the files would belong to the container's root (CVE-2023-25809).
  const uint64_t attributes =
      options.set | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (views.empty()) return {};
  if (views.size() == 1 && views[0].v2) return attach_folder(target, views[0].path, attributes);

  Mount holder;
  holder.destination = "/sys/fs/cgroup";
  holder.type = "tmpfs";
  MountOptions holder_options;
  holder_options.set = attributes & ~static_cast<uint64_t>(MOUNT_ATTR_RDONLY);
  holder_options.data = {{"mode", "0755"}, {"size", "64k"}};
  auto tmpfs = new_file_system(holder, holder_options);
  if (!tmpfs) return tmpfs.take_failure();
  if (sys::move_mount(tmpfs->get(), "", target, "", kOntoFd) != 0) return sys::errno_error("mount cgroup");
  for (const CgroupView& view : views) {
    const std::string name = folder_name(view);
    if (mkdirat(tmpfs->get(), name.c_str(), 0755) != 0) return sys::errno_error("mount cgroup", name);
    auto place = sys::open_in(tmpfs->get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW, sys::kInRoot);
    if (!place) return place.take_failure();
    SYS_TRY(attach_folder(place->get(), view.path, attributes));
  }
  struct mount_attr read_only {};
  read_only.attr_set = MOUNT_ATTR_RDONLY;
  if (sys::mount_setattr(tmpfs->get(), "", AT_EMPTY_PATH, read_only) != 0) return sys::errno_error("mount cgroup");
  return {};
}

}  // namespace jail
