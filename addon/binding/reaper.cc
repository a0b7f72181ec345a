#include "binding/reaper.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace binding {
namespace {

constexpr size_t kRemembered = 1024;
constexpr size_t kThreadStack = 131072;

struct Reaper {
  std::mutex mutex;
  sys::Fd epoll;
  bool thread_runs = false;
  std::unordered_map<int, Child> children;  // by pidfd
  std::deque<std::pair<pid_t, ExitStatus>> ended;
};

// Never destroyed: the thread outlives main's end, and destructors must not pull it from under it.
Reaper& reaper() {
  static Reaper& instance = *new Reaper;
  return instance;
}

// True when the child had ended; its pidfd is closed then, which also takes it out of the epoll set.
bool reap(Reaper& state, int pidfd) {
  const auto found = state.children.find(pidfd);
  if (found == state.children.end()) return false;
  siginfo_t info{};
  // __WALL: a child without an exit signal is invisible to a plain wait.
  const int result = waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG | __WALL);
  if (result == 0 && info.si_pid == 0) return false;
  if (result == 0) {
    state.ended.emplace_back(found->second.pid, ExitStatus{info.si_code != CLD_EXITED, info.si_status});
    if (state.ended.size() > kRemembered) state.ended.pop_front();
  }
  state.children.erase(found);
  return true;
}

void sweep(Reaper& state) {
  for (auto next = state.children.begin(); next != state.children.end();) {
    const int pidfd = (next++)->first;
    reap(state, pidfd);
  }
}

void* thread_main(void* argument) {
  Reaper& state = *static_cast<Reaper*>(argument);
  for (;;) {
    epoll_event events[16];
    const int count = epoll_wait(state.epoll.get(), events, 16, -1);
    const std::lock_guard<std::mutex> lock(state.mutex);
    for (int i = 0; i < count; i++) reap(state, events[i].data.fd);
  }
  return nullptr;
}

// Where no thread can be had, children are swept when the next one is started.
bool start_thread(Reaper& state) {
  state.epoll.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!state.epoll) return false;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kThreadStack);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // A new thread inherits the mask: Node's handlers must keep running on Node's threads.
  sigset_t all;
  sigset_t old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pthread_t thread;
  const bool created = pthread_create(&thread, &attributes, thread_main, &state) == 0;
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  pthread_attr_destroy(&attributes);
  return created;
}

}  // namespace

void adopt(Child child) {
  Reaper& state = reaper();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.thread_runs) state.thread_runs = start_thread(state);
  const int pidfd = child.pidfd.get();
  state.children.emplace(pidfd, std::move(child));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = pidfd;
  if (!state.thread_runs || epoll_ctl(state.epoll.get(), EPOLL_CTL_ADD, pidfd, &event) < 0) sweep(state);
}

std::optional<ExitStatus> exit_status(pid_t pid) {
  Reaper& state = reaper();
  const std::lock_guard<std::mutex> lock(state.mutex);
  sweep(state);
  for (auto entry = state.ended.rbegin(); entry != state.ended.rend(); ++entry) {
    if (entry->first == pid) return entry->second;
  }
  return std::nullopt;
}

size_t child_count() {
  Reaper& state = reaper();
  const std::lock_guard<std::mutex> lock(state.mutex);
  return state.children.size();
}

}  // namespace binding
