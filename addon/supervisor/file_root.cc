#include "supervisor/file_root.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "jail/mounts.h"
#include "jail/rootfs.h"
#include "jail/target.h"
#include "supervisor/join_target.h"
#include "supervisor/rootless.h"
#include "sys/folder.h"
#include "sys/kernel.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kStep = "open tree";

// All mounts of this namespace. A container may make device nodes, and put one where a file was when that is about to
// be opened: some act on being opened alone.
sys::Result<void> disarm(Access access) {
  struct mount_attr attributes {};
  attributes.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  if (access == Access::kRead) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (sys::mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, attributes) != 0) return sys::errno_error(kStep, "/");
  return {};
}

sys::Result<void> own_mounts() {
  if (unshare(CLONE_NEWNS) != 0) return sys::errno_error("unshare");
  return jail::stop_propagation();
}

sys::Result<void> enter_running(const jail::Target& target) {
  const int flags = CLONE_NEWNS | (target.rootless ? CLONE_NEWUSER : 0);
  if (setns(target.pidfd.get(), flags) != 0) return sys::errno_error("setns");
  // A change of ids resets it (prctl(2)).
  prctl(PR_SET_DUMPABLE, 0);
  struct statfs status {};
  if (statfs("/", &status) != 0) return sys::errno_error(kStep, "/");
  // With CAP_SYS_ADMIN a container can, and then this is what the namespace gives as its root.
  if (status.f_type != OVERLAYFS_SUPER_MAGIC)
    return sys::error(kStep, "the container has mounted something over its own root folder", EBUSY);
  return own_mounts();
}

// Whether a mount has something of its own kind to be on, and shows what the container would see there: a volume that
// the first start fills is still what the image has.
bool has_place(int root, const jail::Mount& mount, int source) {
  const sys::Fd target(sys::openat2(root, jail::clean_path(mount.destination).c_str(), O_PATH, sys::kInRoot));
  struct stat there {};
  struct stat made {};
  if (!target || fstat(target.get(), &there) != 0 || fstat(source, &made) != 0) return false;
  if (S_ISDIR(there.st_mode) != S_ISDIR(made.st_mode)) return false;
  if (!mount.copy_up) return true;
  auto names = sys::folder_names(source, kStep);
  return names && !names->empty();
}

// Volumes and bind mounts: what else is mounted at a start has no files of anybody.
sys::Result<void> mount_files(int root, const jail::Spec& spec, Access access) {
  jail::Spec files = spec;
  std::erase_if(files.mounts, [](const jail::Mount& mount) { return mount.type != "bind"; });
  // As with the root: nothing is written to the upper folder or the work folder.
  if (access == Access::kRead) {
    for (jail::Mount& mount : files.mounts) mount.work.clear();
  }
  auto opened = jail::open_sources(files);
  if (!opened) return opened.take_failure();
  jail::Prepared prepared;
  std::vector<jail::Mount> mounts;
  for (size_t i = 0; i < files.mounts.size(); i++) {
    if (access == Access::kRead && !has_place(root, files.mounts[i], (*opened)[i].get())) continue;
    mounts.push_back(files.mounts[i]);
    if (access == Access::kRead) mounts.back().copy_up = false;
    prepared.sources.push_back(std::move((*opened)[i]));
  }
  files.mounts = std::move(mounts);
  auto mounted = jail::mount_all(root, files, std::move(prepared), jail::Cgroup());
  if (!mounted) return mounted.take_failure();
  return {};
}

sys::Result<void> enter_stopped(const Config& config, Access access) {
  if (config.rootless) SYS_TRY(enter_rootless(*config.rootless));
  SYS_TRY(own_mounts());
  jail::Rootfs rootfs = config.spec.rootfs;
  if (access == Access::kRead) {
    // With the upper folder as one more lower one nothing is written to it or to the work folder, and a start is not
    // disturbed.
    if (!rootfs.upper.empty()) rootfs.lower.insert(rootfs.lower.begin(), rootfs.upper);
    rootfs.upper.clear();
    rootfs.work.clear();
    rootfs.is_volatile = false;
  }
  auto root = jail::mount_rootfs(rootfs);
  if (!root) return root.take_failure();
  SYS_TRY(mount_files(root->get(), config.spec, access));
  SYS_TRY(jail::finish_rootfs(root->get(), rootfs));
  return jail::enter_rootfs(root->get());
}

}  // namespace

sys::Result<FileRoot> open_file_root(const std::string& bundle, const std::string& socket, Access access) {
  auto answer = ask_for_target(socket, access == Access::kRead ? Wanted::kFiles : Wanted::kWriting);
  if (!answer) return answer.take_failure();
  FileRoot files;
  files.lock = std::move(answer->lock);
  files.connection = std::move(answer->connection);
  auto config = read_config(bundle);
  if (!config) return config.take_failure();
  umask(0);
  SYS_TRY(answer->target.pidfd ? enter_running(answer->target) : enter_stopped(*config, access));
  SYS_TRY(disarm(access));
  auto root = sys::open(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
  if (!root) return root.take_failure();
  files.root = std::move(*root);
  return files;
}

}  // namespace supervisor
