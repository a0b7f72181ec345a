#include "binding/reaper.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <array>
#include <mutex>
#include <utility>

#include "binding/signals.h"

// libuv's, which Node exports: pthread_create(3) moved to another library in glibc 2.34, and what is built there would
// not load on an older one. uv_thread_t is pthread_t.
extern "C" int uv_thread_create(pthread_t* thread, void (*entry)(void*), void* argument);

namespace binding {
namespace {

constexpr size_t kRemembered = 1024;

struct Node {
  Child child;
  Node* next = nullptr;
};

struct Ended {
  pid_t pid = 0;
  ExitStatus status;
};

struct Reaper {
  std::mutex mutex;
  sys::Fd epoll;
  bool thread_runs = false;
  Node* children = nullptr;
  size_t child_count = 0;
  std::array<Ended, kRemembered> ended;  // a ring
  size_t ended_count = 0;
};

// Never destroyed: the thread outlives main's end, and destructors must not pull it from under it.
Reaper& reaper() {
  static Reaper& instance = *new Reaper;
  return instance;
}

// True when the child has been waited for.
bool reap(Reaper& state, const Child& child) {
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(child.pidfd.get());
  // __WALL: a child without an exit signal is invisible to a plain wait.
  const int result = waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WEXITED | WNOHANG | __WALL);
  if (result == 0 && info.si_pid == 0) return false;
  if (result == 0) {
    const ExitStatus status{info.si_code != CLD_EXITED, info.si_status};
    state.ended[state.ended_count++ % kRemembered] = Ended{child.pid, status};
  }
  return true;
}

// A program has few containers: looking at all of them costs less than keeping an index.
void sweep(Reaper& state) {
  for (Node** link = &state.children; *link != nullptr;) {
    Node* const node = *link;
    if (!reap(state, node->child)) {
      link = &node->next;
      continue;
    }
    *link = node->next;
    state.child_count--;
    delete node;  // closes the pidfd, which takes it out of the epoll set
  }
}

void thread_main(void* argument) {
  Reaper& state = *static_cast<Reaper*>(argument);
  for (;;) {
    epoll_event events[16];
    if (epoll_wait(state.epoll.get(), events, 16, -1) <= 0) continue;
    const std::lock_guard<std::mutex> lock(state.mutex);
    sweep(state);
  }
}

// Where no thread can be had, children are swept when the next one is started.
bool start_thread(Reaper& state) {
  state.epoll.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!state.epoll) return false;
  // A new thread inherits the mask: Node's handlers must keep running on Node's threads.
  const uint64_t old_mask = set_signal_mask(kAllSignals);
  pthread_t thread;
  const bool created = uv_thread_create(&thread, thread_main, &state) == 0;
  set_signal_mask(old_mask);
  return created;
}

}  // namespace

void adopt(Child child) {
  Reaper& state = reaper();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.thread_runs) state.thread_runs = start_thread(state);
  epoll_event event{};
  event.events = EPOLLIN;
  const int pidfd = child.pidfd.get();
  state.children = new Node{std::move(child), state.children};
  state.child_count++;
  if (!state.thread_runs || epoll_ctl(state.epoll.get(), EPOLL_CTL_ADD, pidfd, &event) < 0) sweep(state);
}

std::optional<ExitStatus> exit_status(pid_t pid) {
  Reaper& state = reaper();
  const std::lock_guard<std::mutex> lock(state.mutex);
  sweep(state);
  const size_t oldest = state.ended_count > kRemembered ? state.ended_count - kRemembered : 0;
  for (size_t i = state.ended_count; i > oldest; i--) {
    const Ended& entry = state.ended[(i - 1) % kRemembered];
    if (entry.pid == pid) return entry.status;
  }
  return std::nullopt;
}

size_t child_count() {
  Reaper& state = reaper();
  const std::lock_guard<std::mutex> lock(state.mutex);
  return state.child_count;
}

}  // namespace binding
