// The cgroup of one container: the same path in every hierarchy that matters. cgroup v2 is the model; a controller that
// is still bound to a v1 hierarchy (hybrid hosts) is driven there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jail/spec.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// One mounted hierarchy of this host.
struct Hierarchy {
  std::string mount_point;
  bool v2 = false;
  std::vector<std::string> controllers;  // v2: what its root offers; v1: what is bound to it
  bool writable = false;

  [[nodiscard]] bool has(std::string_view controller) const;
};

// What the host has mounted, read from /proc/self/mountinfo.
struct CgroupHost {
  std::vector<Hierarchy> hierarchies;

  static sys::Result<CgroupHost> detect();
  // Where `controller` can be used: v2 first. Null when nowhere.
  [[nodiscard]] const Hierarchy* find(std::string_view controller) const;
  [[nodiscard]] const Hierarchy* v2() const;
};

// One folder of a container's cgroup, for showing it inside.
struct CgroupView {
  std::string path;
  bool v2 = false;
  std::vector<std::string> controllers;
};

struct Knob;

class Cgroup {
 public:
  Cgroup() = default;  // no cgroup: every call below succeeds and does nothing

  // The cgroup exists in the hierarchies and `resources` are in force. On a host whose cgroup file systems are absent
  // or read-only the result is an empty Cgroup, unless a limit was asked for: then the error names the controller.
  // Nothing of it remains if this fails.
  static sys::Result<Cgroup> create(std::string_view path, const Resources& resources, bool rootless);

  // An existing one, by its path: what is left of a container whose supervisor died. Empty when there is nothing.
  static Cgroup open(std::string_view path);

  // The cgroup of one exec: a child of the container's v2 cgroup without controllers (so that kill() ends exactly the
  // exec's tree); in v1 hierarchies the container's own. `parents` are the container's folders as folder_fds() gave
  // them.
  static sys::Result<Cgroup> create_exec(const std::vector<int>& parents, std::string_view name);

  [[nodiscard]] bool empty() const { return folders_.empty(); }
  // O_DIRECTORY descriptors, one per hierarchy, owned by this object: to be sent to a `join` process.
  [[nodiscard]] std::vector<int> folder_fds() const;
  // For CLONE_INTO_CGROUP; -1 without a v2 hierarchy.
  [[nodiscard]] int v2_fd() const;
  // Write-only: `tasks` of the v1 hierarchies, and cgroup.procs of v2 too when asked; a process that has one thread
  // joins by writing "0".
  [[nodiscard]] std::vector<int> procs_fds(bool with_v2) const;
  [[nodiscard]] std::vector<std::string> paths() const;
  [[nodiscard]] std::vector<CgroupView> views() const;

  // `pid`, as seen from the caller's pid namespace, is a member in every hierarchy.
  [[nodiscard]] sys::Result<void> add(pid_t pid) const;

  // The calling process stands in the root of every hierarchy again, so that this cgroup can be removed from within.
  [[nodiscard]] sys::Result<void> leave() const;

  // How many processes the kernel killed here for want of memory, since creation. 0 where nothing counts it.
  [[nodiscard]] uint64_t oom_kills() const;
  // Readable (EPOLLIN) when oom_kills() may have grown; drain_oom() re-arms it. -1 where nothing can be watched.
  [[nodiscard]] int oom_fd() const { return oom_.get(); }
  void drain_oom() const;

  // New limits for what runs here; what is absent stays. All of them are in force, or, after a failure, none: each file
  // has what it had. A v1 hierarchy that was not needed yet is joined. Memory and swap, quota and period, are given
  // together.
  [[nodiscard]] sys::Result<void> update(const Resources& changes);

  // Every process in it and below was sent SIGKILL, also frozen ones; it may take a moment until they are gone.
  [[nodiscard]] sys::Result<void> kill() const;
  // All processes in it and below stand still / run again.
  [[nodiscard]] sys::Result<void> freeze() const;
  [[nodiscard]] sys::Result<void> thaw() const;
  // Those in it and below, by their numbers in the caller's pid namespace.
  [[nodiscard]] std::vector<pid_t> processes() const;
  // Whether any process is left, here or below.
  [[nodiscard]] bool populated() const;
  // The cgroup and its descendants are gone. Retries EBUSY for up to `timeout_ms`: dead processes leave it
  // asynchronously.
  [[nodiscard]] sys::Result<void> remove(int timeout_ms = 2000);

 private:
  struct Folder {
    std::string path;  // empty when it came as a descriptor
    sys::Fd fd;
    sys::Fd parent;  // of an exec's cgroup: remove() unlinks `name` here
    std::string name;
    bool v2 = false;
    bool borrowed = false;  // the container's own folder, which an exec joins but must not remove or kill
    sys::Fd procs;
    std::vector<std::string> controllers;

    [[nodiscard]] bool has(std::string_view controller) const;
  };

  [[nodiscard]] const Folder* folder_of(std::string_view controller) const;
  [[nodiscard]] const Folder* v2_folder() const;
  [[nodiscard]] const Folder* own_folder() const;
  sys::Result<void> add_folder(const Hierarchy& hierarchy, const std::string& path, const Resources& resources);
  using FileValues = std::vector<std::pair<const Folder*, Knob>>;
  [[nodiscard]] sys::Result<FileValues> files_for(const Resources& resources) const;
  [[nodiscard]] static sys::Result<void> write_files(FileValues files);
  [[nodiscard]] sys::Result<void> apply(const Resources& resources) const;
  sys::Result<void> join_missing(const Resources& changes);
  sys::Result<void> restrict_devices(const std::vector<DeviceRule>& rules) const;
  sys::Result<void> watch_oom();

  std::vector<Folder> folders_;
  sys::Fd oom_;
  sys::Fd oom_source_;  // v1: memory.oom_control must stay open
};

}  // namespace jail
