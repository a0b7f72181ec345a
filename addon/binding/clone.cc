#include "binding/clone.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "binding/signals.h"

namespace binding {
namespace {

constexpr size_t kStackSize = 65536;
constexpr int kLastSignal = 64;
constexpr int kFirstHighFd = 64;  // above every number that a child may be given

// What the child reads and writes: it shares its parent's memory until execve.
struct Shared {
  const CloneRequest* request;
  int null_fd;
  int failed_errno;
  const char* failed_call;
};

// The kernel's own layout. The C library's sigaction() refuses the two signals it keeps for itself, yet they must be
// reset too.
struct KernelSigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

[[noreturn]] void fail(Shared& shared, const char* call) {
  shared.failed_errno = errno;
  shared.failed_call = call;
  _exit(127);
}

// Under a limit that has no such number fcntl says EINVAL: what is wrong is the same as with too many open files.
int duplicate_high(Shared& shared, int fd) {
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, kFirstHighFd);
  if (high >= 0) return high;
  if (errno == EINVAL) errno = EMFILE;
  fail(shared, "fcntl");
}

// Every source goes to a high number first: putting one in its place could otherwise close another that is still to be
// moved.
void place_fds(Shared& shared) {
  const CloneRequest& request = *shared.request;
  int high[kMaxFds];
  for (size_t i = 0; i < request.count; i++) {
    const int source = request.fds[i] < 0 ? shared.null_fd : request.fds[i];
    high[i] = duplicate_high(shared, source);
  }
  const int executable = duplicate_high(shared, request.executable);
  for (size_t i = 0; i < request.count; i++) {
    if (dup2(high[i], static_cast<int>(i)) < 0) fail(shared, "dup2");
  }
  const int last = static_cast<int>(request.count);
  if (dup3(executable, last, O_CLOEXEC) < 0) fail(shared, "dup3");
  // Node leaks descriptors: what somebody opened without O_CLOEXEC must not reach a container (CVE-2024-21626).
  if (syscall(SYS_close_range, last + 1, ~0U, 0) < 0) fail(shared, "close_range");
}

// Only system calls from here on: the parent's other threads may hold any lock, malloc's included.
int child_main(void* argument) {
  Shared& shared = *static_cast<Shared*>(argument);
  KernelSigaction by_default{};
  for (int number = 1; number <= kLastSignal; number++) {
    // Handlers would run Node's code in this process; ignored ones would stay ignored in the container.
    syscall(SYS_rt_sigaction, number, &by_default, nullptr, sizeof by_default.mask);
  }
  setsid();
  place_fds(shared);
  set_signal_mask(0);
  char name[] = "dinghy-supervisor";
  char* const argv[] = {name, const_cast<char*>(shared.request->mode), nullptr};
  char* const envp[] = {nullptr};
  const int executable = static_cast<int>(shared.request->count);
  syscall(SYS_execveat, executable, "", argv, envp, AT_EMPTY_PATH);
  fail(shared, "execveat");
}

// One stack for all: a vfork-like clone returns when the child has left it.
char* shared_stack() {
  static char* const stack = [] {
    void* memory = mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
  }();
  return stack;
}

}  // namespace

sys::Result<Child> clone_and_exec(const CloneRequest& request) {
  static std::mutex& mutex = *new std::mutex;  // worker threads; never destroyed, as they may outlive main's end
  const std::lock_guard<std::mutex> lock(mutex);

  char* const stack = shared_stack();
  if (stack == nullptr) return sys::errno_error("mmap");
  static const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_fd < 0) return sys::errno_error("open", "/dev/null");

  Shared shared{&request, null_fd, 0, nullptr};
  // The exit signal (low byte) is 0: no SIGCHLD, hence Node's own child handling is not disturbed.
  int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
  if (request.new_pid_namespace) flags |= CLONE_NEWPID;

  // A handler that ran in the child before the dispositions are reset would write into our memory.
  const uint64_t old_mask = set_signal_mask(kAllSignals);
  int pidfd = -1;
  const pid_t pid = clone(child_main, stack + kStackSize, flags, &shared, &pidfd);
  const int clone_errno = errno;
  set_signal_mask(old_mask);

  if (pid < 0) return sys::errno_error("clone", {}, clone_errno);
  Child child{pid, sys::Fd(pidfd)};
  if (shared.failed_call != nullptr) {
    siginfo_t info;
    while (waitid(static_cast<idtype_t>(P_PIDFD), pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR) {
    }
    return sys::errno_error(shared.failed_call, {}, shared.failed_errno);
  }
  return child;
}

}  // namespace binding
