#include "jail/mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "jail/copy_up.h"
#include "jail/devices.h"
#include "jail/file_systems.h"
#include "jail/mount_options.h"
#include "jail/procfs.h"
#include "jail/rootfs.h"
#include "jail/target.h"
#include "sys/kernel.h"

namespace jail {
namespace {

constexpr unsigned kOntoFd = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

// Files of procfs that are only read, which user-space emulations (lxcfs) replace.
constexpr std::string_view kReplaceableProcFiles[] = {
    "proc/cpuinfo", "proc/diskstats", "proc/meminfo",  "proc/stat",
    "proc/swaps",   "proc/uptime",    "proc/slabinfo", "proc/loadavg",
};

// Kernel file systems that belong below /sys; anything else there would pose as one.
constexpr unsigned long kSysfsFamily[] = {
    SYSFS_MAGIC,      CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,  TRACEFS_MAGIC,
    SECURITYFS_MAGIC, BPF_FS_MAGIC,       PSTOREFS_MAGIC,      EFIVARFS_MAGIC, 0x62656570 /* configfs */,
};

std::string step_of(const Mount& mount) { return "mount " + mount.destination; }

sys::Error mount_error(const Mount& mount, const std::string& path = {}, int err = errno) {
  return sys::errno_error(step_of(mount), path, err);
}

sys::Error refused(const Mount& mount, const std::string& why) { return sys::error(step_of(mount), why, EPERM); }

unsigned long magic_of(int fd) {
  struct statfs info {};
  if (fstatfs(fd, &info) != 0) return 0;
  return static_cast<unsigned long>(info.f_type);
}

bool is_sysfs_family(unsigned long magic) {
  return std::find(std::begin(kSysfsFamily), std::end(kSysfsFamily), magic) != std::end(kSysfsFamily);
}

// The root of a procfs: inode 1. A folder deeper inside, or a volume made to look like one, is not.
bool is_procfs_root(int fd) {
  struct stat info {};
  return magic_of(fd) == PROC_SUPER_MAGIC && fstat(fd, &info) == 0 && info.st_ino == 1;
}

bool is_cgroup(const Mount& mount) { return mount.type == "cgroup" || mount.type == "cgroup2"; }

sys::Result<bool> is_folder(const Mount& mount, int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return mount_error(mount);
  return S_ISDIR(info.st_mode);
}

// A specification may not replace procfs, sysfs or the root by something else: security modules, sysctls and masks are
// written to paths below them (CVE-2019-16884, CVE-2019-19921, CVE-2023-28642).
sys::Result<void> check_replacement(const Mount& mount, const std::string& inner, int mounted) {
  if (inner.empty()) return refused(mount, "the root itself cannot be mounted over");
  if (inner == "proc" && !is_procfs_root(mounted)) return refused(mount, "only a procfs can be mounted on /proc");
  if (inner == "sys" && magic_of(mounted) != SYSFS_MAGIC) return refused(mount, "only a sysfs can be mounted on /sys");
  return {};
}

sys::Result<void> check_target(const Mount& mount, const std::string& inner, int root, int target, int mounted) {
  const unsigned long magic = magic_of(target);
  if (magic == PROC_SUPER_MAGIC && inner != "proc") {
    const auto* known = std::find(std::begin(kReplaceableProcFiles), std::end(kReplaceableProcFiles), inner);
    if (known == std::end(kReplaceableProcFiles)) return refused(mount, "nothing can be mounted inside /proc");
  }
  if (is_sysfs_family(magic) && !is_cgroup(mount) && !is_sysfs_family(magic_of(mounted))) {
    return refused(mount, "only kernel file systems can be mounted inside /sys");
  }
  struct stat place {};
  struct stat top {};
  if (fstat(target, &place) != 0 || fstat(root, &top) != 0) return mount_error(mount);
  if (place.st_dev == top.st_dev && place.st_ino == top.st_ino) {
    return refused(mount, "the destination leads to the root itself");
  }
  return {};
}

sys::Result<void> set_bind_attributes(const Mount& mount, const MountOptions& options, int fd) {
  const unsigned recursive = options.recursive_bind ? AT_RECURSIVE : 0;
  struct mount_attr own {};
  own.attr_set = options.set;
  own.attr_clr = options.clear;
  if ((own.attr_set | own.attr_clr) != 0 && sys::mount_setattr(fd, "", AT_EMPTY_PATH, own) != 0)
    return mount_error(mount);
  struct mount_attr below {};
  below.attr_set = options.recursive_set;
  below.attr_clr = options.recursive_clear;
  if ((below.attr_set | below.attr_clr) != 0 && sys::mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, below) != 0) {
    return mount_error(mount);
  }
  struct mount_attr propagation {};
  propagation.propagation = options.propagation != 0 ? options.propagation : static_cast<uint64_t>(MS_PRIVATE);
  const unsigned depth = options.propagation == 0 || options.recursive_propagation ? recursive : 0;
  if (sys::mount_setattr(fd, "", AT_EMPTY_PATH | depth, propagation) != 0) return mount_error(mount);
  return {};
}

// A tmpfs over an existing folder keeps that folder's mode unless one was asked for, as other runtimes do.
void inherit_mode(MountOptions& options, int target) {
  if (options.find("mode") != nullptr) return;
  struct stat info {};
  if (fstat(target, &info) != 0) return;
  char mode[8];
  (void)snprintf(mode, sizeof mode, "%04o", info.st_mode & 07777);
  options.data.emplace_back("mode", mode);
}

class Mounter {
 public:
  Mounter(int root, const Spec& spec, sys::Fd proc, const Cgroup& cgroup)
      : root_(root), spec_(spec), proc_(std::move(proc)), cgroup_(cgroup) {}

  sys::Result<void> mount(const Mount& mount, const sys::Fd& source) {
    const std::string inner = clean_path(mount.destination);
    if (inner.empty()) return refused(mount, "the root itself cannot be mounted over");
    MountOptions options = parse_options(mount.options);
    // Without a cgroup of its own the container has nothing to see there.
    if (is_cgroup(mount) && cgroup_.empty()) return {};

    auto target = find_target(mount, inner, source);
    if (!target) return target.take_failure();
    if (is_cgroup(mount)) {
      SYS_TRY(check_target(mount, inner, root_, target->get(), -1));
      return attach_cgroups(target->get(), options, cgroup_);
    }
    if (mount.type == "bind") {
      SYS_TRY(prepare(mount, inner, target->get(), source.get()));
      SYS_TRY(set_bind_attributes(mount, options, source.get()));
      return attach(mount, target->get(), source.get());
    }
    auto made = make(mount, options, target->get());
    if (!made) return made.take_failure();
    SYS_TRY(prepare(mount, inner, target->get(), made->get()));
    SYS_TRY(attach(mount, target->get(), made->get()));
    return remember(mount, inner, std::move(*made));
  }

  Mounted take() { return std::move(mounted_); }

 private:
  sys::Result<sys::Fd> find_target(const Mount& mount, const std::string& inner, const sys::Fd& source) const {
    TargetKind kind = TargetKind::kFolder;
    if (mount.type == "bind") {
      auto folder = is_folder(mount, source.get());
      if (!folder) return folder.take_failure();
      if (!*folder) kind = TargetKind::kFile;
    }
    const bool plain =
        inner == "proc" || inner == "sys" || inner == "dev" || mount.type == "proc" || mount.type == "sysfs";
    auto target =
        plain && kind == TargetKind::kFolder ? make_plain_folder(root_, inner) : make_target(root_, inner, kind);
    if (target) return target;
    sys::Error failure = target.take_failure();
    failure.step = step_of(mount);
    return failure;
  }

  [[nodiscard]] sys::Result<sys::Fd> make(const Mount& mount, MountOptions options, int target) {
    if (mount.type == "proc" && proc_ && options.data.empty() && options.set == kProcfsAttributes) {
      return std::move(proc_);
    }
    if (mount.type == "tmpfs") inherit_mode(options, target);
    if (mount.type == "devpts" && spec_.rootless) {
      // Group 5 (tty) may have no place in the map, and then the whole mount would be refused.
      const auto is_gid = [](const auto& option) { return option.first == "gid"; };
      options.data.erase(std::remove_if(options.data.begin(), options.data.end(), is_gid), options.data.end());
    }
    auto made = new_file_system(mount, options);
    if (!made && mount.type == "sysfs" && made.failure().err == EPERM) return host_sysfs();
    return made;
  }

  // What must be known and done before `made` covers its target. A volume is filled before it may become read-only.
  [[nodiscard]] sys::Result<void> prepare(const Mount& mount, const std::string& inner, int target, int made) const {
    SYS_TRY(check_replacement(mount, inner, made));
    SYS_TRY(check_target(mount, inner, root_, target, made));
    if (!mount.copy_up) return {};
    auto copied = copy_up(target, made);
    if (copied) return {};
    sys::Error failure = copied.take_failure();
    failure.step = "fill " + mount.destination;
    return failure;
  }

  [[nodiscard]] static sys::Result<void> attach(const Mount& mount, int target, int made) {
    if (sys::move_mount(made, "", target, "", kOntoFd) != 0) return mount_error(mount);
    return {};
  }

  sys::Result<void> remember(const Mount& mount, const std::string& inner, sys::Fd made) {
    if (inner == "dev" && mount.type == "tmpfs") {
      SYS_TRY(populate_dev(made.get(), spec_.devices));
      mounted_.dev = std::move(made);
    } else if (inner == "dev/pts" && mount.type == "devpts") {
      mounted_.devpts = std::move(made);
    }
    return {};
  }

  int root_;
  const Spec& spec_;
  sys::Fd proc_;
  const Cgroup& cgroup_;
  Mounted mounted_;
};

}  // namespace

namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// An upper folder that was never mounted has the mode and owner that it was made with, and not yet those of the folder
// that it continues.
sys::Result<void> continue_folder(const Mount& mount) {
  if (access((mount.work + "/work").c_str(), F_OK) == 0) return {};
  const sys::Fd below(open(mount.lower.front().c_str(), kFolder));
  const sys::Fd upper(open(mount.source.c_str(), kFolder));
  if (!below || !upper) return mount_error(mount, below ? mount.source : mount.lower.front());
  auto copied = copy_attributes(below.get(), upper.get());
  if (copied) return {};
  return mount_error(mount, mount.source, copied.failure().err);
}

sys::Result<sys::Fd> open_stack(const Mount& mount, const Rootfs& rootfs) {
  Rootfs stack;
  stack.lower = mount.lower;
  stack.userxattr = rootfs.userxattr;
  stack.redirects = true;
  if (mount.work.empty()) {
    stack.lower.insert(stack.lower.begin(), mount.source);
  } else {
    SYS_TRY(continue_folder(mount));
    stack.upper = mount.source;
    stack.work = mount.work;
    stack.is_volatile = rootfs.is_volatile;
  }
  auto opened = mount_stack(stack);
  if (opened) return opened;
  sys::Error failure = opened.take_failure();
  failure.step = step_of(mount);
  return failure;
}

sys::Result<sys::Fd> open_source(const Mount& mount) {
  const unsigned flags =
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (parse_options(mount.options).recursive_bind ? AT_RECURSIVE : 0);
  if (mount.subpath.empty()) {
    sys::Fd source(sys::open_tree(AT_FDCWD, mount.source.c_str(), flags));
    if (!source) return mount_error(mount, mount.source);
    return source;
  }
  // Containers that have the volume write its links, and swap its folders while this looks (CVE-2017-1002101).
  const sys::Fd folder(open(mount.source.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return mount_error(mount, mount.source);
  auto inner = sys::open_in(folder.get(), mount.subpath.c_str(), O_PATH, sys::kInRoot);
  if (!inner) return mount_error(mount, mount.source + "/" + mount.subpath, inner.failure().err);
  sys::Fd source(sys::open_tree(inner->get(), "", AT_EMPTY_PATH | flags));
  if (!source) return mount_error(mount, mount.source + "/" + mount.subpath);
  return source;
}

}  // namespace

sys::Result<std::vector<sys::Fd>> open_sources(const Spec& spec) {
  std::vector<sys::Fd> sources;
  sources.reserve(spec.mounts.size());
  for (const Mount& mount : spec.mounts) {
    sys::Fd source;
    if (mount.type == "bind") {
      if (mount.source.empty() || mount.source[0] != '/') {
        return sys::error(step_of(mount), "source '" + mount.source + "' must be absolute", EINVAL);
      }
      auto opened = mount.lower.empty() ? open_source(mount) : open_stack(mount, spec.rootfs);
      if (!opened) return opened.take_failure();
      source = std::move(*opened);
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

sys::Result<Mounted> mount_all(int root, const Spec& spec, Prepared prepared, const Cgroup& cgroup) {
  Mounter mounter(root, spec, std::move(prepared.proc), cgroup);
  for (size_t i = 0; i < spec.mounts.size(); i++) {
    SYS_TRY(mounter.mount(spec.mounts[i], prepared.sources[i]));
    prepared.sources[i].reset();
  }
  return mounter.take();
}

}  // namespace jail
