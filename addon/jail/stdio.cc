#include "jail/stdio.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "sys/kernel.h"

namespace jail {
namespace {

constexpr unsigned kMaxFd = ~0U;

// Pipes, sockets and terminals only: a file or device that the caller passed keeps its owner.
void give_to(int fd, uid_t uid) {
  struct stat info {};
  if (fstat(fd, &info) != 0 || info.st_uid == uid) return;
  const bool is_terminal = S_ISCHR(info.st_mode) && isatty(fd) == 1;
  if (!S_ISFIFO(info.st_mode) && !S_ISSOCK(info.st_mode) && !is_terminal) return;
  // Best effort: without it only the re-opening of /dev/stdout fails.
  (void)!fchown(fd, uid, static_cast<gid_t>(-1));
}

}  // namespace

sys::Result<void> close_all_but(std::vector<int> keep, int null) {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && dup2(null, fd) < 0) return sys::errno_error("dup2");
  }
  std::sort(keep.begin(), keep.end());
  unsigned first = 3;
  for (const int fd : keep) {
    if (fd < 0) continue;
    const auto number = static_cast<unsigned>(fd);
    if (number < first) continue;
    if (number > first && sys::close_range(first, number - 1, 0) != 0) return sys::errno_error("close_range");
    first = number + 1;
  }
  if (sys::close_range(first, kMaxFd, 0) != 0) return sys::errno_error("close_range");
  return {};
}

void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; signal++) (void)sigaction(signal, &action, nullptr);
}

void unblock_signals() {
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
}

sys::Result<void> install_stdio(const Stdio& stdio, const Terminal& terminal, int null, const Identity& who) {
  if (setsid() < 0 && errno != EPERM) return sys::errno_error("setsid");
  int wanted[3] = {stdio.in, stdio.out, stdio.err};
  if (terminal.slave) {
    if (ioctl(terminal.slave.get(), TIOCSCTTY, 0) != 0) return sys::errno_error("set controlling terminal");
    wanted[0] = wanted[1] = wanted[2] = terminal.slave.get();
  }
  // First out of the way, because one of them may be 0, 1 or 2 itself.
  sys::Fd copies[3];
  for (int i = 0; i < 3; i++) {
    copies[i].reset(fcntl(wanted[i] >= 0 ? wanted[i] : null, F_DUPFD_CLOEXEC, 3));
    if (!copies[i]) return sys::errno_error("install stdio");
  }
  for (int i = 0; i < 3; i++) {
    if (dup2(copies[i].get(), i) < 0) return sys::errno_error("install stdio");
    give_to(i, who.uid);
  }
  return {};
}

}  // namespace jail
