#include "supervisor/worker.h"

#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "layer/thread.h"
#include "supervisor/protocol.h"

namespace supervisor {
namespace {

constexpr int kNice = 5;

}  // namespace

// Three busy threads beside a program that lives by its event loop: on two processors they held one turn in a hundred
// up by 24 ms, so by 9. A batch thread that wakes up does not push aside what runs (sched(7)); where nobody else wants
// to run it loses nothing.
void yield_to_program() {
  const sched_param parameters{};
  (void)sched_setscheduler(0, SCHED_BATCH, &parameters);
  (void)setpriority(PRIO_PROCESS, 0, kNice);
}

sys::Result<void> end_with_control(std::function<void()> before) {
  // Not joined: it waits for as long as the process lives.
  auto* watcher = new layer::Thread;
  return watcher->start([before = std::move(before)] {
    for (;;) {
      pollfd control{kControlFd, POLLRDHUP, 0};
      if (poll(&control, 1, -1) <= 0 || (control.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) continue;
      if (before) before();
      _exit(1);
    }
  });
}

}  // namespace supervisor
