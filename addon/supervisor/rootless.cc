#include "supervisor/rootless.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "supervisor/protocol.h"
#include "sys/kernel.h"

namespace supervisor {
namespace {

[[noreturn]] void wait_for_inner(pid_t inner) {
  // Whoever waits for the control socket's end, or for the lock, must be told by the inner one's end alone.
  close(kControlFd);
  close(kLockFd);
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(inner), &info, WEXITED) < 0 && errno == EINTR) {
  }
  _exit(info.si_code == CLD_EXITED ? info.si_status : 1);
}

}  // namespace

sys::Result<void> enter_rootless(const RootlessConfig& ids) {
  SYS_TRY(jail::enter_user_namespace(ids.uid, ids.gid, ids.subuid ? &*ids.subuid : nullptr,
                                     ids.subgid ? &*ids.subgid : nullptr));
  // A change of ids resets it (prctl(2)).
  prctl(PR_SET_DUMPABLE, 0);
  return {};
}

sys::Result<void> enter_pid_namespace() {
  const sys::Fd outer(sys::pidfd_open(getpid(), 0));
  if (!outer) return sys::errno_error("pidfd_open");
  if (unshare(CLONE_NEWPID) < 0) return sys::errno_error("unshare pid namespace");
  const pid_t inner = fork();
  if (inner < 0) return sys::errno_error("fork");
  if (inner > 0) wait_for_inner(inner);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have died before that; from inside the namespace getppid() is 0 either way and cannot tell.
  pollfd dead{outer.get(), POLLIN, 0};
  if (poll(&dead, 1, 0) > 0) _exit(1);
  return {};
}

}  // namespace supervisor
