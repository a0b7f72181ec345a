// Stopping, killing and removing what is in a cgroup.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "jail/cgroup.h"
#include "jail/cgroup_files.h"
#include "jail/cgroup_tree.h"
#include "sys/small_file.h"

namespace jail {
namespace {

constexpr int kFreezeTimeoutMs = 2000;
// Rounds of "kill everything that is listed": a process that forks between reading and killing shows up in the next.
constexpr int kKillRounds = 100;

int64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int milliseconds) { (void)poll(nullptr, 0, milliseconds); }

// Waits until `done` holds, at growing intervals.
template <class Done>
bool wait_until(int timeout_ms, Done done) {
  const int64_t deadline = now_ms() + timeout_ms;
  for (int pause = 1;; pause = pause < 20 ? pause * 2 : pause) {
    if (done()) return true;
    if (now_ms() >= deadline) return false;
    sleep_ms(pause);
  }
}

bool v1_state_is(int folder, std::string_view state) {
  auto text = sys::read_file(folder, "freezer.state", kMaxCgroupFile);
  return text && text->compare(0, state.size(), state) == 0;
}

void signal_all(int folder) {
  for (int round = 0; round < kKillRounds; round++) {
    const std::vector<pid_t> pids = cgroup_processes(folder, true);
    if (pids.empty()) return;
    for (const pid_t pid : pids) ::kill(pid, SIGKILL);
    sleep_ms(1);
  }
}

}  // namespace

sys::Result<void> Cgroup::freeze() const {
  const Folder* folder = v2_folder();
  if (folder != nullptr) {
    SYS_TRY(sys::write_knob(folder->fd.get(), "cgroup.freeze", "1"));
    const bool frozen =
        wait_until(kFreezeTimeoutMs, [&] { return read_keyed(folder->fd.get(), "cgroup.events", "frozen", 0) == 1; });
    if (frozen) return {};
    (void)sys::write_knob(folder->fd.get(), "cgroup.freeze", "0");
    return sys::errno_error("freeze", {}, EBUSY);
  }
  folder = folder_of("freezer");
  if (folder == nullptr) return sys::error("freeze", "this host has no way to freeze a cgroup", EOPNOTSUPP);
  SYS_TRY(sys::write_knob(folder->fd.get(), "freezer.state", "FROZEN"));
  if (wait_until(kFreezeTimeoutMs, [&] { return v1_state_is(folder->fd.get(), "FROZEN"); })) return {};
  (void)sys::write_knob(folder->fd.get(), "freezer.state", "THAWED");
  return sys::errno_error("freeze", {}, EBUSY);
}

sys::Result<void> Cgroup::thaw() const {
  const Folder* folder = v2_folder();
  if (folder != nullptr) return sys::write_knob(folder->fd.get(), "cgroup.freeze", "0");
  folder = folder_of("freezer");
  if (folder == nullptr) return {};
  return sys::write_knob(folder->fd.get(), "freezer.state", "THAWED");
}

sys::Result<void> Cgroup::kill() const {
  const Folder* folder = own_folder();
  if (folder == nullptr) return {};
  if (folder->v2) {
    auto killed = sys::write_knob(folder->fd.get(), "cgroup.kill", "1");
    // Linux before 5.14 has no such file; ENODEV: the cgroup itself is gone, and with it every process.
    if (killed || killed.failure().err == ENODEV) return {};
    if (killed.failure().err != ENOENT) return killed;
  }
  // Standing still they cannot fork away from the list. A frozen process takes the signal when it is thawed.
  const bool frozen = freeze().ok();
  if (frozen) {
    for (const pid_t pid : cgroup_processes(folder->fd.get(), true)) ::kill(pid, SIGKILL);
    SYS_TRY(thaw());
  }
  signal_all(folder->fd.get());
  return {};
}

std::vector<pid_t> Cgroup::processes() const {
  const Folder* folder = own_folder();
  return folder == nullptr ? std::vector<pid_t>() : cgroup_processes(folder->fd.get(), true);
}

bool Cgroup::populated() const {
  for (const Folder& folder : folders_) {
    if (folder.borrowed) continue;
    if (folder.v2 ? read_keyed(folder.fd.get(), "cgroup.events", "populated", 0) == 1
                  : !cgroup_processes(folder.fd.get(), true).empty()) {
      return true;
    }
  }
  return false;
}

sys::Result<void> Cgroup::leave() const {
  for (const Folder& folder : folders_) {
    if (folder.borrowed || folder.path.empty()) continue;
    const std::string root = folder.path.substr(0, folder.path.size() - folder.name.size());
    SYS_TRY(sys::write_knob(AT_FDCWD, (root + "/cgroup.procs").c_str(), "0"));
  }
  return {};
}

sys::Result<void> Cgroup::remove(int timeout_ms) {
  sys::Result<void> result;
  oom_.reset();
  oom_source_.reset();
  const bool removed = wait_until(timeout_ms, [&] {
    result = {};
    for (const Folder& folder : folders_) {
      if (folder.borrowed) continue;
      auto gone = folder.parent ? remove_cgroup_folder(folder.parent.get(), folder.name)
                                : remove_cgroup_folder(AT_FDCWD, folder.path);
      if (!gone && result) result = std::move(gone);
    }
    return result.ok() || result.failure().err != EBUSY;
  });
  if (!removed || !result) return result;
  for (const Folder& folder : folders_) {
    if (folder.borrowed || folder.path.empty()) continue;
    remove_empty_parents(folder.path.substr(0, folder.path.size() - folder.name.size()), folder.name);
  }
  folders_.clear();
  return {};
}

}  // namespace jail
