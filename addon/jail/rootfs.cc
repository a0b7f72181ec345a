#include "jail/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "sys/kernel.h"
#include "sys/small_file.h"

namespace jail {
namespace {

// fsconfig(2) copies at most 256 bytes of a value, the terminating zero included.
constexpr size_t kMaxValue = 255;

sys::Error rootfs_error(const std::string& path = {}, int err = errno) {
  return sys::errno_error("mount rootfs", path, err);
}

struct Folders {
  std::vector<sys::Fd> lower;
  sys::Fd upper;
  sys::Fd work;
};

sys::Result<sys::Fd> open_folder(const std::string& path) {
  if (path.empty() || path[0] != '/') return rootfs_error(path, EINVAL);
  sys::Fd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return rootfs_error(path);
  return fd;
}

sys::Result<Folders> open_folders(const Rootfs& rootfs) {
  Folders folders;
  for (const std::string& path : rootfs.lower) {
    auto fd = open_folder(path);
    if (!fd) return fd.take_failure();
    folders.lower.push_back(std::move(*fd));
  }
  if (rootfs.upper.empty()) return folders;
  auto upper = open_folder(rootfs.upper);
  if (!upper) return upper.take_failure();
  auto work = open_folder(rootfs.work);
  if (!work) return work.take_failure();
  folders.upper = std::move(*upper);
  folders.work = std::move(*work);
  return folders;
}

// Layers are named through their descriptors: data folders may have long paths, and the container's mountinfo then
// tells nothing of the host.
std::string name_of(const sys::Fd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

struct Option {
  std::string key;
  std::string value;  // empty: a flag
};

// Everything is said explicitly: the defaults depend on how the kernel was built and on module parameters.
std::vector<Option> common_options(const Rootfs& rootfs) {
  std::vector<Option> options = {{"metacopy", "off"}, {"index", "off"}};
  // userxattr excludes any redirect_dir but its own implied one. With it off, rename(2) of a lower layer's folder gives
  // EXDEV, as programs know it from root file systems; those that rename folders of their data know nothing of it.
  if (rootfs.userxattr) {
    options.push_back({"userxattr", {}});
  } else {
    options.push_back({"redirect_dir", rootfs.redirects ? "on" : "off"});
  }
  if (rootfs.is_volatile && !rootfs.upper.empty()) options.push_back({"volatile", {}});
  return options;
}

bool configure(int context, const Option& option) {
  const unsigned command = option.value.empty() ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  return sys::fsconfig(context, command, option.key.c_str(), option.value.empty() ? nullptr : option.value.c_str(),
                       0) == 0;
}

sys::Result<sys::Fd> mount_context(int context) {
  if (sys::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return rootfs_error("overlay");
  sys::Fd mount(sys::fsmount(context, FSMOUNT_CLOEXEC, 0));
  if (!mount) return rootfs_error("overlay");
  return mount;
}

// Linux 6.8 and later: any number of layers, each its own parameter.
sys::Result<sys::Fd> mount_by_parameters(const Rootfs& rootfs, const Folders& folders) {
  const sys::Fd context(sys::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context) return rootfs_error("overlay");
  for (const sys::Fd& lower : folders.lower) {
    if (!configure(context.get(), {"lowerdir+", name_of(lower)})) return rootfs_error("lowerdir+");
  }
  if (folders.upper) {
    if (!configure(context.get(), {"upperdir", name_of(folders.upper)})) return rootfs_error(rootfs.upper);
    if (!configure(context.get(), {"workdir", name_of(folders.work)})) return rootfs_error(rootfs.work);
  }
  for (const Option& option : common_options(rootfs)) {
    if (!configure(context.get(), option)) return rootfs_error(option.key);
  }
  return mount_context(context.get());
}

// Older kernels: one string for all layers. From within /proc/self/fd a layer's name is a few digits.
sys::Result<sys::Fd> mount_by_string(const Rootfs& rootfs, const Folders& folders) {
  if (chdir("/proc/self/fd") != 0) return rootfs_error("/proc/self/fd");
  std::string lower;
  for (const sys::Fd& layer : folders.lower) lower += (lower.empty() ? "" : ":") + std::to_string(layer.get());
  std::vector<Option> options = common_options(rootfs);
  options.insert(options.begin(), {"lowerdir", lower});
  if (folders.upper) {
    options.push_back({"upperdir", std::to_string(folders.upper.get())});
    options.push_back({"workdir", std::to_string(folders.work.get())});
  }
  if (lower.size() <= kMaxValue) {
    const sys::Fd context(sys::fsopen("overlay", FSOPEN_CLOEXEC));
    if (!context) return rootfs_error("overlay");
    for (const Option& option : options) {
      if (!configure(context.get(), option)) return rootfs_error(option.key);
    }
    return mount_context(context.get());
  }
  // mount(2) takes a page of options, but needs a path to mount on.
  if (rootfs.path.empty()) return rootfs_error("overlay", E2BIG);
  std::string data;
  for (const Option& option : options) {
    data += (data.empty() ? "" : ",") + option.key + (option.value.empty() ? "" : "=" + option.value);
  }
  if (mount("overlay", rootfs.path.c_str(), "overlay", 0, data.c_str()) != 0) return rootfs_error("overlay");
  sys::Fd mounted(sys::open_tree(AT_FDCWD, rootfs.path.c_str(), OPEN_TREE_CLOEXEC));
  if (!mounted) return rootfs_error(rootfs.path);
  return mounted;
}

// A volatile overlay leaves this marker for ever, and the kernel then refuses the next mount of the same upper folder:
// after a crash its content may be torn. Whether this upper may be used again was decided by who asked for the mount.
sys::Result<void> remove_marker(int work, const std::string& path) {
  const auto failed = [](int status) { return status != 0 && errno != ENOENT && errno != ENOTDIR; };
  if (failed(unlinkat(work, "work/incompat/volatile/dirty", 0))) return rootfs_error(path);
  if (failed(unlinkat(work, "work/incompat/volatile", AT_REMOVEDIR))) return rootfs_error(path);
  return {};
}

sys::Result<sys::Fd> mount_overlay(const Rootfs& rootfs) {
  auto folders = open_folders(rootfs);
  if (!folders) return folders.take_failure();
  if (rootfs.is_volatile && folders->work) SYS_TRY(remove_marker(folders->work.get(), rootfs.work));
  // Kernels before 6.5 take any parameter as text and refuse the unknown name only at the end: EINVAL in either case.
  auto mounted = mount_by_parameters(rootfs, *folders);
  if (mounted || mounted.failure().err != EINVAL) return mounted;
  auto by_string = mount_by_string(rootfs, *folders);
  if (chdir("/") != 0) return rootfs_error("/");
  return by_string;
}

sys::Result<sys::Fd> clone_folder(const std::string& path, unsigned flags) {
  if (path.empty() || path[0] != '/') return rootfs_error(path, EINVAL);
  sys::Fd mount(sys::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags));
  if (!mount) return rootfs_error(path);
  return mount;
}

sys::Result<void> set_attributes(int mount, uint64_t set, uint64_t propagation, unsigned flags) {
  struct mount_attr attributes {};
  attributes.attr_set = set;
  attributes.propagation = propagation;
  if (sys::mount_setattr(mount, "", AT_EMPTY_PATH | flags, attributes) != 0) return rootfs_error();
  return {};
}

bool is_single_layer(const Rootfs& rootfs) { return rootfs.lower.size() == 1 && rootfs.upper.empty(); }

sys::Result<sys::Fd> make_mount(const Rootfs& rootfs) {
  if (rootfs.lower.empty()) return clone_folder(rootfs.path, AT_RECURSIVE);
  // The kernel wants two layers or an upper one for an overlay. One alone is a bind mount.
  if (is_single_layer(rootfs)) return clone_folder(rootfs.lower[0], 0);
  return mount_overlay(rootfs);
}

}  // namespace

sys::Result<void> stop_propagation() {
  // Slave and not private, so that a bind mount made from here can still be a slave of the host's mount ("rslave").
  // pivot_root(2) only demands that nothing is shared.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return sys::errno_error("make mounts private");
  return {};
}

sys::Result<sys::Fd> mount_stack(const Rootfs& stack) { return mount_overlay(stack); }

sys::Result<sys::Fd> mount_rootfs(const Rootfs& rootfs) {
  auto root = make_mount(rootfs);
  if (!root) return root;
  SYS_TRY(set_attributes(root->get(), 0, MS_PRIVATE, AT_RECURSIVE));
  // A committed layer is never modified, not even by making a mount point in it.
  if (is_single_layer(rootfs)) SYS_TRY(set_attributes(root->get(), MOUNT_ATTR_RDONLY, 0, 0));
  // Mounts can only be attached below one that is attached itself (before Linux 6.15). On top of "/" it needs no folder
  // of its own.
  if (sys::move_mount(root->get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) return rootfs_error("/");
  return root;
}

sys::Result<void> finish_rootfs(int root, const Rootfs& rootfs) {
  if (!rootfs.read_only) return {};
  return set_attributes(root, MOUNT_ATTR_RDONLY, 0, 0);
}

sys::Result<void> enter_rootfs(int root) {
  if (fchdir(root) != 0) return sys::errno_error("pivot_root");
  // With "." twice the old root is put on top of the new one, pivot_root(2): no folder for it is needed in the image.
  if (sys::pivot_root(".", ".") != 0) return sys::errno_error("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return sys::errno_error("umount old root");
  if (chdir("/") != 0) return sys::errno_error("chdir /");
  return {};
}

}  // namespace jail
