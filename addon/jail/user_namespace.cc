// Rootless: the whole of what follows runs as root of a user namespace.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "jail/jail.h"
#include "jail/stdio.h"
#include "sys/bytes.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/small_file.h"

namespace jail {
namespace {

constexpr char kStep[] = "user namespace";

sys::Error namespace_error(const std::string& what, int err = errno) {
  sys::Error failure = sys::errno_error(kStep, {}, err);
  failure.message = what;
  return failure;
}

sys::Result<void> write_map(const char* file, const std::string& map) {
  auto written = sys::write_knob(AT_FDCWD, file, map);
  if (written) return {};
  return namespace_error(std::string("cannot write ") + file, written.failure().err);
}

sys::Result<void> map_single_id(uid_t uid, gid_t gid) {
  // In this order: once the gid map is there the kernel takes no "deny" any more, and a process that may call setgroups
  // could drop a group that is there to deny it something (CVE-2014-8989, user_namespaces(7)).
  SYS_TRY(write_map("/proc/self/setgroups", "deny"));
  SYS_TRY(write_map("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1"));
  return write_map("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
}

// Absolute places only: PATH is empty here, and a setuid program is looked for.
int run_mapper(const char* name, pid_t target, uint32_t id, const IdRange& range) {
  const std::string pid = std::to_string(target);
  const std::string own = std::to_string(id);
  const std::string start = std::to_string(range.start);
  const std::string count = std::to_string(range.count);
  const pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) {
    for (const char* folder : {"/usr/bin/", "/bin/", "/usr/local/bin/"}) {
      const std::string path = std::string(folder) + name;
      execl(path.c_str(), name, pid.c_str(), "0", own.c_str(), "1", "1", start.c_str(), count.c_str(),
            static_cast<char*>(nullptr));
    }
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return 1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// Stays outside of the new namespace, where the setuid programs have their rights, and waits for the word that it
// exists.
[[noreturn]] void run_helper(const sys::Fd& go, pid_t target, uid_t uid, gid_t gid, const IdRange& subuid,
                             const IdRange& subgid) {
  char byte = 0;
  if (!sys::read_exact(go.get(), &byte, 1)) _exit(0);
  reset_signals();
  unblock_signals();
  if (run_mapper("newgidmap", target, gid, subgid) != 0) _exit(2);
  if (run_mapper("newuidmap", target, uid, subuid) != 0) _exit(1);
  _exit(0);
}

sys::Result<void> wait_for_helper(pid_t helper) {
  int status = 0;
  while (waitpid(helper, &status, 0) < 0) {
    if (errno != EINTR) return namespace_error("lost the process that writes the id maps");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const bool groups = WIFEXITED(status) && WEXITSTATUS(status) == 2;
  return namespace_error(std::string(groups ? "newgidmap" : "newuidmap") +
                             " failed: is the package uidmap installed, and the range listed in /etc/sub" +
                             (groups ? "gid" : "uid") + " for this user?",
                         EPERM);
}

sys::Result<void> unshare_user() {
  if (unshare(CLONE_NEWUSER) == 0) return {};
  const int err = errno;
  if (err == ENOSPC) return namespace_error("this host allows no user namespaces (user.max_user_namespaces)", err);
  if (err == EPERM) {
    return namespace_error(
        "this host does not let ordinary users make user namespaces (kernel.unprivileged_userns_clone)", err);
  }
  return namespace_error("cannot make a user namespace", err);
}

sys::Result<void> unshare_with_ranges(uid_t uid, gid_t gid, const IdRange& subuid, const IdRange& subgid) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return namespace_error("pipe");
  sys::Fd go(ends[0]);
  sys::Fd tell(ends[1]);
  const pid_t self = getpid();
  const pid_t helper = fork();
  if (helper < 0) return namespace_error("fork");
  if (helper == 0) {
    tell.reset();
    run_helper(go, self, uid, gid, subuid, subgid);
  }
  auto result = unshare_user();
  if (result) result = sys::write_all(tell.get(), "x");
  tell.reset();  // without a word the helper just ends
  auto helped = wait_for_helper(helper);
  if (!result) return result;
  return helped;
}

sys::Result<void> become_root(bool groups) {
  if (groups && setgroups(0, nullptr) != 0) return namespace_error("setgroups");
  if (setresgid(0, 0, 0) != 0) return namespace_error("setresgid");
  if (setresuid(0, 0, 0) != 0) return namespace_error("setresuid");
  return {};
}

}  // namespace

sys::Result<void> enter_user_namespace(uid_t uid, gid_t gid, const IdRange* subuid, const IdRange* subgid) {
  // The map files of a non-dumpable process belong to the host's root, and newuidmap looks at who owns them.
  const int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return namespace_error("set dumpable");
  const bool ranges = subuid != nullptr && subgid != nullptr && subuid->count > 0 && subgid->count > 0;
  sys::Result<void> result;
  if (ranges) {
    result = unshare_with_ranges(uid, gid, *subuid, *subgid);
  } else {
    result = unshare_user();
    if (result) result = map_single_id(uid, gid);
  }
  if (result) result = become_root(ranges);
  if (dumpable != 1 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 && result) result = namespace_error("set non-dumpable");
  return result;
}

}  // namespace jail
