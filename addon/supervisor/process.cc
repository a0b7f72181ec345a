#include "supervisor/process.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/kernel.h"

namespace supervisor {

void prepare_process(unsigned fd_count) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  // A blocked SIGPIPE would stay pending and be delivered to a program after its mask is cleared.
  signal(SIGPIPE, SIG_IGN);
  // Before any namespace is entered: a process in a container must not be able to look at us (CVE-2016-9962).
  prctl(PR_SET_DUMPABLE, 0);
  sys::close_range(fd_count, ~0U, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "dinghy");
  umask(077);
  // The caller's working folder must stay removable and unmountable. "/" always is a folder.
  if (chdir("/") < 0) _exit(1);
  // Node raises its soft limit to the hard one; select(2)-style programs break on that, and we need few.
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

void reap_orphans(const std::function<bool(pid_t)>& is_known) {
  for (;;) {
    siginfo_t info{};
    // Signals coalesce: one SIGCHLD may stand for many. Looked at first, since somebody waits for some of them by
    // pidfd.
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 || info.si_pid == 0) return;
    if (is_known(info.si_pid)) return;
    waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG | __WALL);
  }
}

sys::Result<sys::Fd> watch_signals(Loop& loop, std::function<void()> on_terminate,
                                   std::function<bool(pid_t)> is_known) {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, number);
  sys::Fd fd(signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return sys::errno_error("signalfd");
  const int number = fd.get();
  SYS_TRY(loop.watch(number, EPOLLIN,
                     [number, on_terminate = std::move(on_terminate), is_known = std::move(is_known)](uint32_t) {
                       signalfd_siginfo info{};
                       while (read(number, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
                         if (info.ssi_signo != SIGCHLD) on_terminate();
                       }
                       reap_orphans(is_known);
                     }));
  return fd;
}

}  // namespace supervisor
