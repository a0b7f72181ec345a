#include "supervisor/pack_root.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "jail/rootfs.h"
#include "supervisor/rootless.h"
#include "sys/kernel.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kStep = "open tree";

// A container may make device nodes, and put one where a file was when that is about to be opened: some act on being
// opened alone.
sys::Result<void> disarm(int mount) {
  struct mount_attr attributes {};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  if (sys::mount_setattr(mount, "", AT_EMPTY_PATH, attributes) != 0) return sys::errno_error(kStep);
  return {};
}

// A copy of the mount that `path` is on, without those below it.
sys::Result<sys::Fd> clone_mount(const char* path) {
  sys::Fd mount(sys::open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!mount) return sys::errno_error(kStep, path);
  SYS_TRY(disarm(mount.get()));
  return mount;
}

// What open_tree gives is a place (O_PATH), which can't be read.
sys::Result<sys::Fd> readable(const sys::Fd& folder, const std::string& path) {
  sys::Fd fd(openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return sys::errno_error(kStep, path);
  return fd;
}

sys::Result<sys::Fd> root_of_running(const jail::Target& target) {
  const int flags = CLONE_NEWNS | (target.rootless ? CLONE_NEWUSER : 0);
  if (setns(target.pidfd.get(), flags) != 0) return sys::errno_error("setns");
  auto root = clone_mount("/");
  if (!root) return root;
  struct statfs status {};
  if (fstatfs(root->get(), &status) != 0) return sys::errno_error(kStep, "/");
  // With CAP_SYS_ADMIN a container can, and then this is what the namespace gives as its root.
  if (status.f_type != OVERLAYFS_SUPER_MAGIC) {
    return sys::error(kStep, "the container has mounted something over its own root folder", EBUSY);
  }
  return root;
}

sys::Result<void> enter_mount_namespace() {
  if (unshare(CLONE_NEWNS) != 0) return sys::errno_error("unshare");
  return jail::stop_propagation();
}

// With the upper folder as one more lower one: read-only, so that nothing is written to it or to the work folder, and
// the container's own mount is not disturbed should it be started meanwhile.
sys::Result<sys::Fd> mount_layers(const Config& config) {
  if (config.rootless) SYS_TRY(enter_rootless(*config.rootless));
  SYS_TRY(enter_mount_namespace());
  jail::Rootfs rootfs = config.spec.rootfs;
  if (!rootfs.upper.empty()) rootfs.lower.insert(rootfs.lower.begin(), rootfs.upper);
  rootfs.upper.clear();
  rootfs.work.clear();
  rootfs.is_volatile = false;
  auto root = jail::mount_rootfs(rootfs);
  if (!root) return root;
  SYS_TRY(disarm(root->get()));
  return root;
}

}  // namespace

sys::Result<PackRoot> open_container_root(const std::string& bundle, const std::string& socket) {
  PackRoot root;
  jail::Target target;
  if (!socket.empty()) {
    auto answer = ask_for_target(socket, Wanted::kFiles);
    if (!answer) return answer.take_failure();
    root.lock = std::move(answer->lock);
    target = std::move(answer->target);
  }
  auto config = read_config(bundle);
  if (!config) return config.take_failure();
  auto mount = target.pidfd ? root_of_running(target) : mount_layers(*config);
  if (!mount) return mount.take_failure();
  auto folder = readable(*mount, "/");
  if (!folder) return folder.take_failure();
  root.folder = std::move(*folder);
  return root;
}

sys::Result<ContainerLayers> open_container_layers(const std::string& bundle, const std::string& socket,
                                                   Wanted wanted) {
  ContainerLayers layers;
  if (!socket.empty()) {
    auto answer = ask_for_target(socket, wanted);
    if (!answer) return answer.take_failure();
    layers.lock = std::move(answer->lock);
    layers.connection = std::move(answer->connection);
    layers.cgroup_folders = std::move(answer->cgroup_folders);
    layers.running = static_cast<bool>(answer->target.pidfd);
  }
  auto config = read_config(bundle);
  if (!config) return config.take_failure();
  const jail::Rootfs& rootfs = config->spec.rootfs;
  auto upper = open_folder_root(rootfs.upper, config->rootless);
  if (!upper) return upper.take_failure();
  const auto image = rootfs.lower.begin() + static_cast<std::ptrdiff_t>(rootfs.frozen);
  layers.upper = upper->folder.get();
  std::vector<sys::Fd> own;
  own.push_back(std::move(upper->folder));
  for (auto path = rootfs.lower.begin(); path != image; path++) {
    auto folder = sys::open(AT_FDCWD, path->c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!folder) return folder.take_failure();
    own.push_back(std::move(*folder));
    layers.frozen.push_back(*path);
  }
  layers.own = layer::Stack::of(std::move(own));
  auto lower = layer::Stack::open({image, rootfs.lower.end()});
  if (!lower) return lower.take_failure();
  layers.lower = std::move(*lower);
  return layers;
}

sys::Result<PackRoot> open_folder_root(const std::string& path, const std::optional<RootlessConfig>& ids) {
  if (ids) {
    SYS_TRY(enter_rootless(*ids));
    SYS_TRY(enter_mount_namespace());
  }
  // Refused below mounts that this user namespace may not look under: then the walk stays off the others.
  auto mount = clone_mount(path.c_str());
  if (!mount) mount = sys::open(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY);
  if (!mount) return mount.take_failure();
  auto folder = readable(*mount, path);
  if (!folder) return folder.take_failure();
  PackRoot root;
  root.folder = std::move(*folder);
  return root;
}

}  // namespace supervisor
