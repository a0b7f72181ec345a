// The parent's side of starting a container: the clone, the waiting points, and getting init's own words when it fails.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/init.h"
#include "jail/jail.h"
#include "jail/sync.h"
#include "sys/kernel.h"
#include "sys/small_file.h"
#include "sys/unix_socket.h"

namespace jail {
namespace {

// Made by clone3 itself. The cgroup namespace comes later, once init is in its cgroups; a user namespace was entered by
// the caller, or the other namespaces would belong to the wrong one.
constexpr int kCloned = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

sys::Result<void> check(const Spec& spec) {
  const Namespace* mounts = spec.find_namespace(CLONE_NEWNS);
  if (mounts == nullptr || !mounts->path.empty()) {
    return sys::error("clone", "a container needs a new mount namespace", EINVAL);
  }
  return {};
}

sys::Result<std::vector<std::pair<int, sys::Fd>>> open_joined(const Spec& spec) {
  std::vector<std::pair<int, sys::Fd>> joined;
  for (const Namespace& entry : spec.namespaces) {
    if (entry.path.empty() || entry.flag == CLONE_NEWUSER) continue;
    auto fd = sys::open(AT_FDCWD, entry.path.c_str(), O_RDONLY);
    if (!fd) {
      sys::Error failure = fd.take_failure();
      failure.step = "join namespace";
      return failure;
    }
    joined.emplace_back(entry.flag, std::move(*fd));
  }
  return joined;
}

int new_namespaces(const Spec& spec) {
  int flags = 0;
  for (const Namespace& entry : spec.namespaces) {
    if (entry.path.empty()) flags |= entry.flag & kCloned;
  }
  return flags;
}

// A pid namespace can be entered only for children, so the caller enters it for the time of one clone.
class PidNamespaceVisit {
 public:
  sys::Result<void> enter(const std::vector<std::pair<int, sys::Fd>>& joined) {
    for (const auto& [flag, fd] : joined) {
      if (flag != CLONE_NEWPID) continue;
      own_.reset(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
      if (!own_) return sys::errno_error("join namespace", "/proc/self/ns/pid");
      if (setns(fd.get(), CLONE_NEWPID) != 0) return sys::errno_error("join namespace");
    }
    return {};
  }
  ~PidNamespaceVisit() {
    if (own_) (void)setns(own_.get(), CLONE_NEWPID);
  }

 private:
  sys::Fd own_;
};

// Kernels before 5.7 don't know the flag, and some delegations refuse it: then init joins by itself.
bool may_retry_without_cgroup(int err) {
  return err == EINVAL || err == EOPNOTSUPP || err == EACCES || err == EPERM || err == E2BIG;
}

sys::Result<Init> clone_init(InitPlan& plan, sys::Fd& parent_end) {
  Init init;
  int pidfd = -1;
  struct clone_args arguments {};
  arguments.flags = static_cast<uint64_t>(new_namespaces(plan.spec)) | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  const int cgroup = plan.cgroup.v2_fd();
  plan.cgroup_procs = plan.cgroup.procs_fds(false);
  if (cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(cgroup);
  }
  init.pid = sys::clone3(arguments);
  if (init.pid < 0 && cgroup >= 0 && may_retry_without_cgroup(errno)) {
    plan.cgroup_procs = plan.cgroup.procs_fds(true);
    arguments.flags &= ~static_cast<uint64_t>(CLONE_INTO_CGROUP);
    arguments.cgroup = 0;
    init.pid = sys::clone3(arguments);
  }
  if (init.pid < 0) return sys::errno_error("clone");
  if (init.pid == 0) {
    (void)parent_end.release();
    run_init(plan);
  }
  init.pidfd.reset(pidfd);
  init.sync = std::move(parent_end);
  return init;
}

sys::Error ended_early(const char* where) {
  return sys::error(where, "the process ended before it could say why: it was killed, perhaps for want of memory",
                    ECHILD);
}

const char* name_of(Point point) {
  switch (point) {
    case Point::kNamespaces:
      return "namespaces";
    case Point::kRootfs:
      return "rootfs";
    case Point::kExec:
      break;
  }
  return "execve";
}

}  // namespace

sys::Result<Init> create(const Spec& spec, const Stdio& stdio, const Cgroup& cgroup) {
  SYS_TRY(check(spec));
  auto filter = seccomp::prepare(spec.process.seccomp_filter);
  if (!filter) return filter.take_failure();
  auto joined = open_joined(spec);
  if (!joined) return joined.take_failure();
  auto null = sys::open(AT_FDCWD, "/dev/null", O_RDWR);
  if (!null) return null.take_failure();
  auto ends = sys::socket_pair(SOCK_SEQPACKET);
  if (!ends) return ends.take_failure();

  InitPlan plan{spec, stdio, cgroup, {}, *filter, std::move(*joined)};
  plan.parent = getpid();
  plan.null = null->get();
  plan.sync = ends->second.get();
  PidNamespaceVisit visit;
  SYS_TRY(visit.enter(plan.joined));
  return clone_init(plan, ends->first);
}

sys::Result<void> wait(Init& init, Point point) {
  for (;;) {
    auto message = sync::receive(init.sync.get());
    if (!message) {
      // Closed. By execve when that was the point, else by the process's end.
      if (message.failure().err != ECONNRESET) return message.take_failure();
      if (point == Point::kExec) return {};
      return ended_early(name_of(point));
    }
    switch (message->kind) {
      case sync::Kind::kError:
        return std::move(message->error);
      case sync::Kind::kMaster:
        init.master = std::move(message->fd);
        continue;
      case sync::Kind::kNetwork:
        init.network = std::move(message->fd);
        continue;
      case sync::Kind::kPoint:
        if (message->value == static_cast<int32_t>(point)) return {};
        break;
      default:
        break;
    }
    return sys::errno_error(name_of(point), {}, EBADMSG);
  }
}

sys::Result<void> release(Init& init, Point point) {
  auto sent = sync::send(init.sync.get(), sync::Kind::kGo, static_cast<int32_t>(point));
  if (sent || sent.failure().err != EPIPE) return sent;
  return ended_early(name_of(point));
}

}  // namespace jail
