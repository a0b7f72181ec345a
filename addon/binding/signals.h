// The calling thread's signal mask, all 64 of it: the C library's own functions leave out the two signals that it keeps
// for itself.
#pragma once

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace binding {

constexpr uint64_t kAllSignals = ~uint64_t{0};

// Returns the mask there was.
inline uint64_t set_signal_mask(uint64_t mask) {
  uint64_t old = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
  return old;
}

}  // namespace binding
