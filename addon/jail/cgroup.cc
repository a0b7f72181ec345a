#include "jail/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "jail/cgroup_files.h"
#include "jail/cgroup_limits.h"
#include "jail/cgroup_tree.h"
#include "jail/device_filter.h"
#include "sys/small_file.h"

namespace jail {
namespace {

// v1 hierarchies that are used even without a limit: memory to count OOM kills, pids and cpuacct for statistics.
constexpr std::string_view kAlwaysV1[] = {"memory", "pids", "cpuacct"};

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// EROFS and the like: the host does not let us, which is no failure as long as nothing was asked for.
bool is_refusal(int err) { return err == EROFS || err == EACCES || err == EPERM; }

sys::Result<std::string> check_path(std::string_view path) {
  std::string clean;
  for (const std::string& part : split_words(path, '/')) {
    if (part == "." || part == "..") return sys::error("make cgroup", "cgroupsPath must not contain '..'", EINVAL);
    clean += "/" + part;
  }
  if (path.empty() || path[0] != '/' || clean.empty()) {
    return sys::error("make cgroup", "cgroupsPath must be absolute and not the root", EINVAL);
  }
  return clean;
}

sys::Error no_controller(const std::string& controller, bool read_only) {
  return sys::error("cgroup controller " + controller,
                    "this host has no " + std::string(read_only ? "writable " : "") + "cgroup controller '" +
                        controller + "', so the limit that was asked for cannot be kept",
                    EOPNOTSUPP);
}

bool is_v2(int fd) {
  struct statfs info {};
  return fstatfs(fd, &info) == 0 && static_cast<unsigned long>(info.f_type) == CGROUP2_SUPER_MAGIC;
}

// What a process that has one thread writes "0" to. For cgroup.procs the kernel shuts out every fork on the host, for
// which it waits 10 to 24 ms (an RCU grace period) if nobody has just done the same; a thread that moves itself alone
// needs none of it (cgroup_procs_write_start). v2 has no such file, but CLONE_INTO_CGROUP.
sys::Result<sys::Fd> open_entrance(int folder, bool v2) {
  return sys::open(folder, v2 ? "cgroup.procs" : "tasks", O_WRONLY);
}

// Whether a v1 hierarchy gets a folder: because of a limit, the device filter or the statistics.
bool is_wanted(const Hierarchy& hierarchy, const CgroupHost& host, const std::vector<std::string>& needed,
               bool devices) {
  if (hierarchy.v2) return true;
  for (const std::string& controller : hierarchy.controllers) {
    const std::string v2_name = controller == "blkio" ? "io" : controller;
    if (contains(needed, v2_name) && host.find(v2_name) == &hierarchy) return true;
    if (controller == "devices" && devices) return true;
    const bool always = std::find(std::begin(kAlwaysV1), std::end(kAlwaysV1), controller) != std::end(kAlwaysV1);
    if (always && host.find(controller) == &hierarchy) return true;
    // Without v2 the freezer is the only way to stop everything at once.
    if (controller == "freezer" && host.v2() == nullptr) return true;
  }
  return false;
}

}  // namespace

bool Cgroup::Folder::has(std::string_view controller) const { return contains(controllers, controller); }

const Cgroup::Folder* Cgroup::v2_folder() const {
  for (const Folder& folder : folders_) {
    if (folder.v2) return &folder;
  }
  return nullptr;
}

const Cgroup::Folder* Cgroup::folder_of(std::string_view controller) const {
  const Folder* unified = v2_folder();
  if (unified != nullptr && unified->has(controller)) return unified;
  const std::string_view v1_name = controller == "io" ? "blkio" : controller;
  for (const Folder& folder : folders_) {
    if (!folder.v2 && folder.has(v1_name)) return &folder;
  }
  return nullptr;
}

const Cgroup::Folder* Cgroup::own_folder() const {
  const Folder* unified = v2_folder();
  if (unified != nullptr && !unified->borrowed) return unified;
  for (const Folder& folder : folders_) {
    if (!folder.borrowed) return &folder;
  }
  return nullptr;
}

sys::Result<void> Cgroup::add_folder(const Hierarchy& hierarchy, const std::string& path, const Resources& resources) {
  auto fd = make_cgroup_folder(hierarchy, path, needed_controllers(resources));
  if (!fd) return fd.take_failure();
  Folder folder;
  folder.path = hierarchy.mount_point + path;
  folder.fd = std::move(*fd);
  folder.name = path;
  folder.v2 = hierarchy.v2;
  folder.controllers = hierarchy.controllers;
  auto procs = open_entrance(folder.fd.get(), folder.v2);
  if (!procs) return procs.take_failure();
  folder.procs = std::move(*procs);
  folders_.push_back(std::move(folder));
  return {};
}

sys::Result<Cgroup> Cgroup::create(std::string_view wanted_path, const Resources& resources, bool rootless) {
  auto path = check_path(wanted_path);
  if (!path) return path.take_failure();
  auto host = CgroupHost::detect();
  if (!host) return host.take_failure();
  const std::vector<std::string> needed = needed_controllers(resources);
  for (const std::string& controller : needed) {
    const Hierarchy* hierarchy = host->find(controller);
    if (hierarchy == nullptr) return no_controller(controller, false);
    if (!hierarchy->writable) return no_controller(controller, true);
  }

  Cgroup cgroup;
  const bool devices = !rootless && !resources.devices.empty();
  sys::Result<void> result;
  for (const Hierarchy& hierarchy : host->hierarchies) {
    if (!hierarchy.writable || !is_wanted(hierarchy, *host, needed, devices)) continue;
    result = cgroup.add_folder(hierarchy, *path, resources);
    if (result) continue;
    const auto limit = std::find_if(needed.begin(), needed.end(), [&](const std::string& controller) {
      return host->find(controller) == &hierarchy;
    });
    const bool refused = is_refusal(result.failure().err);
    if (limit == needed.end() && refused) {
      result = {};
      continue;
    }
    // A tree that is mounted writable, but not ours to write to (no delegation): what is lacking is the controller.
    if (refused) result = no_controller(*limit, true);
    break;
  }
  if (result) result = cgroup.apply(resources);
  if (result && devices) result = cgroup.restrict_devices(resources.devices);
  if (result) result = cgroup.watch_oom();
  if (!result) {
    (void)cgroup.remove(0);
    return result.take_failure();
  }
  return cgroup;
}

Cgroup Cgroup::open(std::string_view wanted_path) {
  Cgroup cgroup;
  auto path = check_path(wanted_path);
  auto host = CgroupHost::detect();
  if (!path || !host) return cgroup;
  for (const Hierarchy& hierarchy : host->hierarchies) {
    Folder folder;
    folder.path = hierarchy.mount_point + *path;
    auto fd = sys::open(AT_FDCWD, folder.path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) continue;
    folder.fd = std::move(*fd);
    folder.name = *path;
    folder.v2 = hierarchy.v2;
    folder.controllers = hierarchy.controllers;
    cgroup.folders_.push_back(std::move(folder));
  }
  return cgroup;
}

sys::Result<Cgroup> Cgroup::create_exec(const std::vector<int>& parents, std::string_view name) {
  Cgroup cgroup;
  const bool unified = std::any_of(parents.begin(), parents.end(), is_v2);
  bool made = false;
  for (const int parent : parents) {
    Folder folder;
    folder.v2 = is_v2(parent);
    folder.name = std::string(name);
    // A v1 hierarchy serves for tracking when there is no v2 one.
    folder.borrowed = made || (unified && !folder.v2);
    if (!folder.borrowed) {
      auto holder = sys::open(parent, ".", O_RDONLY | O_DIRECTORY);
      if (!holder) return holder.take_failure();
      if (mkdirat(holder->get(), folder.name.c_str(), 0755) != 0) return sys::errno_error("make cgroup", folder.name);
      folder.parent = std::move(*holder);
      made = true;
    }
    auto fd = sys::open(parent, folder.borrowed ? "." : folder.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    auto procs = fd ? open_entrance(fd->get(), folder.v2) : sys::Result<sys::Fd>(fd.failure());
    if (!procs) {
      if (folder.parent) (void)remove_cgroup_folder(folder.parent.get(), folder.name);
      (void)cgroup.remove(0);
      return procs.take_failure();
    }
    folder.fd = std::move(*fd);
    folder.procs = std::move(*procs);
    cgroup.folders_.push_back(std::move(folder));
  }
  return cgroup;
}

std::vector<int> Cgroup::folder_fds() const {
  std::vector<int> fds;
  fds.reserve(folders_.size());
  for (const Folder& folder : folders_) fds.push_back(folder.fd.get());
  return fds;
}

int Cgroup::v2_fd() const {
  const Folder* unified = v2_folder();
  return unified != nullptr ? unified->fd.get() : -1;
}

std::vector<int> Cgroup::procs_fds(bool with_v2) const {
  std::vector<int> fds;
  for (const Folder& folder : folders_) {
    if (!folder.v2 || with_v2) fds.push_back(folder.procs.get());
  }
  return fds;
}

std::vector<std::string> Cgroup::paths() const {
  std::vector<std::string> paths;
  for (const Folder& folder : folders_) {
    if (!folder.path.empty()) paths.push_back(folder.path);
  }
  return paths;
}

std::vector<CgroupView> Cgroup::views() const {
  std::vector<CgroupView> views;
  for (const Folder& folder : folders_) views.push_back({folder.path, folder.v2, folder.controllers});
  return views;
}

sys::Result<void> Cgroup::add(pid_t pid) const {
  for (const Folder& folder : folders_) SYS_TRY(sys::write_knob(folder.fd.get(), "cgroup.procs", std::to_string(pid)));
  return {};
}

sys::Result<Cgroup::FileValues> Cgroup::files_for(const Resources& resources) const {
  FileValues files;
  for (const Knob& knob : v2_knobs(resources)) {
    // Files of no controller ("cgroup.max.depth") exist in every v2 folder.
    const Folder* folder = knob.controller == "cgroup" ? v2_folder() : folder_of(knob.controller);
    if (folder == nullptr) return no_controller(knob.controller, false);
    if (folder->v2) files.emplace_back(folder, knob);
  }
  for (const Knob& knob : v1_knobs(resources)) {
    const Folder* folder = folder_of(knob.controller);
    if (folder != nullptr && !folder->v2) files.emplace_back(folder, knob);
  }
  return files;
}

// Some pairs must be written in one order when a limit grows and in the other when it shrinks (memory and memsw): what
// the kernel finds inconsistent is written again after the rest.
sys::Result<void> Cgroup::write_files(FileValues files) {
  for (int round = 0; !files.empty(); round++) {
    FileValues again;
    for (const auto& [folder, knob] : files) {
      auto written = sys::write_knob(folder->fd.get(), knob.file.c_str(), knob.value);
      if (written || (knob.optional && written.failure().err == ENOENT)) continue;
      if (round == 0 && written.failure().err == EINVAL && files.size() > 1) {
        again.emplace_back(folder, knob);
        continue;
      }
      sys::Error failure = written.take_failure();
      failure.step = "limit " + knob.file;
      failure.path = folder->path;
      failure.message = "the kernel refused '" + knob.value + "'";
      return failure;
    }
    files = std::move(again);
  }
  return {};
}

sys::Result<void> Cgroup::apply(const Resources& resources) const {
  auto files = files_for(resources);
  if (!files) return files.take_failure();
  return write_files(std::move(*files));
}

// A controller of a v1 hierarchy that no limit had asked for at the start: the processes are moved into a folder there.
sys::Result<void> Cgroup::join_missing(const Resources& changes) {
  for (const std::string& controller : needed_controllers(changes)) {
    if (folder_of(controller) != nullptr) continue;
    const Folder* own = own_folder();
    auto host = CgroupHost::detect();
    if (!host) return host.take_failure();
    const Hierarchy* hierarchy = host->find(controller);
    if (own == nullptr || hierarchy == nullptr || hierarchy->v2) return no_controller(controller, false);
    if (!hierarchy->writable) return no_controller(controller, true);
    SYS_TRY(add_folder(*hierarchy, std::string(own->name), changes));
    const int folder = folders_.back().fd.get();
    // A child is where its parent was when it was made: until a look at all of them finds nobody new.
    for (bool moved = true; moved;) {
      moved = false;
      const std::vector<pid_t> there = cgroup_processes(folder, true);
      for (const pid_t pid : processes()) {
        if (std::find(there.begin(), there.end(), pid) != there.end()) continue;
        auto written = sys::write_knob(folder, "cgroup.procs", std::to_string(pid));
        if (!written && written.failure().err != ESRCH) return written;
        moved = moved || written.ok();
      }
    }
  }
  return {};
}

sys::Result<void> Cgroup::update(const Resources& changes) {
  SYS_TRY(join_missing(changes));
  auto files = files_for(changes);
  if (!files) return files.take_failure();
  FileValues before;
  for (const auto& [folder, knob] : *files) {
    auto text = sys::read_file(folder->fd.get(), knob.file.c_str(), kMaxCgroupFile);
    if (!text) continue;
    // An empty one (cpuset.cpus) is written as an empty line.
    while (text->size() > 1 && text->back() == '\n') text->pop_back();
    before.emplace_back(folder, Knob{knob.controller, knob.file, *text, knob.optional});
  }
  auto written = write_files(std::move(*files));
  if (!written) (void)write_files(std::move(before)).ok();
  return written;
}

sys::Result<void> Cgroup::restrict_devices(const std::vector<DeviceRule>& rules) const {
  for (const Folder& folder : folders_) {
    if (folder.v2 || !folder.has("devices")) continue;
    for (const DeviceRule& rule : rules) {
      const char* file = rule.allow ? "devices.allow" : "devices.deny";
      auto written = sys::write_knob(folder.fd.get(), file, v1_device_rule(rule));
      if (written) continue;
      sys::Error failure = written.take_failure();
      failure.step = "device filter";
      failure.message = "the kernel refused '" + v1_device_rule(rule) + "'";
      return failure;
    }
    return {};
  }
  const Folder* unified = v2_folder();
  if (unified == nullptr) return {};
  return attach_device_filter(unified->fd.get(), rules);
}

sys::Result<void> Cgroup::watch_oom() {
  const Folder* folder = folder_of("memory");
  if (folder == nullptr) return {};
  if (folder->v2) {
    sys::Fd watcher(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watcher) return sys::errno_error("watch memory.events");
    // Through the descriptor: the path may be shadowed by a mount. The kernel notifies this file on each change of a
    // counter.
    const std::string file = "/proc/self/fd/" + std::to_string(folder->fd.get()) + "/memory.events";
    if (inotify_add_watch(watcher.get(), file.c_str(), IN_MODIFY) < 0) return sys::errno_error("watch memory.events");
    oom_ = std::move(watcher);
    return {};
  }
  auto source = sys::open(folder->fd.get(), "memory.oom_control", O_RDONLY);
  sys::Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return sys::errno_error("eventfd");
  // Kernels without v1 notifications still count: oom_kills() works, only nobody is woken.
  if (!source) return {};
  const std::string registration = std::to_string(event.get()) + " " + std::to_string(source->get());
  if (!sys::write_knob(folder->fd.get(), "cgroup.event_control", registration)) return {};
  oom_ = std::move(event);
  oom_source_ = std::move(*source);
  return {};
}

uint64_t Cgroup::oom_kills() const {
  const Folder* folder = folder_of("memory");
  if (folder == nullptr) return 0;
  return read_keyed(folder->fd.get(), folder->v2 ? "memory.events" : "memory.oom_control", "oom_kill", 0);
}

void Cgroup::drain_oom() const {
  alignas(inotify_event) std::array<char, 4096> buffer{};
  while (oom_ && read(oom_.get(), buffer.data(), buffer.size()) > 0) {
  }
}

}  // namespace jail
