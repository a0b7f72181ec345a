#include "jail/reaper.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/kernel.h"

namespace jail {
namespace {

int exit_code_of(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

// Signals coalesce: one SIGCHLD may stand for many children. Returns true when the program itself has ended.
bool reap(pid_t program, int& code) {
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return false;
    if (pid != program) continue;
    code = exit_code_of(status);
    return true;
  }
}

[[noreturn]] void forward_and_reap(pid_t program, const sigset_t& all) {
  for (;;) {
    const int signal = sigwaitinfo(&all, nullptr);
    if (signal < 0) continue;
    if (signal != SIGCHLD) {
      (void)kill(program, signal);
      continue;
    }
    int code = 0;
    // When PID 1 ends the kernel kills the rest of the namespace.
    if (reap(program, code)) _exit(code);
  }
}

}  // namespace

sys::Result<void> become_reaper(int sync, bool terminal) {
  // A blocked signal is kept for sigwaitinfo even by PID 1, for which the kernel drops those without a handler.
  sigset_t all;
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, nullptr) != 0) return sys::errno_error("block signals");
  const pid_t program = fork();
  if (program < 0) return sys::errno_error("fork");
  if (program > 0) {
    // The child's execve closes the other copy, which is how the parent outside learns of it.
    close(sync);
    (void)sys::close_range(3, ~0U, 0);
    forward_and_reap(program, all);
  }
  // A group of its own, so that signals from the terminal reach the program once and not this process as well.
  if (setpgid(0, 0) != 0) return sys::errno_error("setpgid");
  // SIGTTOU is blocked here, so a background group may do this.
  if (terminal && tcsetpgrp(0, getpid()) != 0) return sys::errno_error("tcsetpgrp");
  return {};
}

}  // namespace jail
