// Processes that tests make.
#pragma once

#include <sys/prctl.h>
#include <unistd.h>
#include <csignal>

// As fork(2), but the child ends with this process, however that ends: one that went on serving would keep what it
// inherited, a lock on the whole test run among it.
inline pid_t fork_child() {
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  return 0;
}
