#include "net/namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "sys/fd.h"

namespace net {
namespace {

constexpr int kLostNamespace = 134;  // what a shell reports of SIGABRT

}  // namespace

sys::Result<void> in_namespace(int netns, const std::function<sys::Result<void>()>& work) {
  sys::Fd home(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) return sys::errno_error("open network namespace", "/proc/self/ns/net");
  if (setns(netns, CLONE_NEWNET) != 0) return sys::errno_error("enter network namespace");
  auto result = work();
  // Not abort(3): PID 1 of a pid namespace does not die of its own SIGABRT, and glibc then spins.
  if (setns(home.get(), CLONE_NEWNET) != 0) _exit(kLostNamespace);
  return result;
}

}  // namespace net
