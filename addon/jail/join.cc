// Running one more process in a container that runs already.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/jail.h"
#include "jail/launch.h"
#include "jail/seccomp/load.h"
#include "jail/stdio.h"
#include "jail/sync.h"
#include "jail/terminal.h"
#include "sys/kernel.h"
#include "sys/small_file.h"
#include "sys/unix_socket.h"

namespace jail {
namespace {

constexpr int kNamespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

struct JoinPlan {
  const Target& target;
  const Process& process;
  Stdio stdio;
  std::vector<int> cgroup_procs;
  const seccomp::Program& filter;
  int null = -1;
  int sync = -1;
  int status = -1;  // of a guard
};

// While the host's procfs is still the one in use.
sys::Result<void> set_oom_score(const JoinPlan& plan) {
  if (!plan.process.oom_score_adj) return {};
  if (plan.target.rootless) (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  auto written = sys::write_knob(AT_FDCWD, "/proc/self/oom_score_adj", std::to_string(*plan.process.oom_score_adj));
  if (plan.target.rootless) (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return written;
}

sys::Result<Terminal> make_terminal(const Process& process) {
  if (!process.terminal) return Terminal{};
  const sys::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return sys::errno_error("open /");
  auto ptmx = open_multiplexer_in(root.get());
  if (!ptmx) return ptmx.take_failure();
  return open_terminal(*ptmx, process.columns, process.rows);
}

sys::Error run(const JoinPlan& plan) {
  // Until the parent knows the pid nothing else may come over the socket.
  SYS_TRY(sync::expect_go(plan.sync, static_cast<int32_t>(Point::kNamespaces)));
  // A guard adopts what its program leaves behind. Here, where no seccomp filter may refuse it.
  if (plan.status >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return sys::errno_error("set subreaper");
  auto terminal = make_terminal(plan.process);
  if (!terminal) return terminal.take_failure();
  Launch last{plan.process, plan.stdio, plan.filter, plan.null, plan.sync, plan.target.rootless};
  last.status = plan.status;
  return launch(last, std::move(*terminal));
}

sys::Error enter_and_fork(const JoinPlan& plan) {
  // Before anything of the container can see this process: what runs in there must not read our memory or descriptors
  // by way of /proc (CVE-2016-9962). execve makes it dumpable again.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return sys::errno_error("set non-dumpable");
  reset_signals();
  std::vector<int> keep = {plan.stdio.in, plan.stdio.out,          plan.stdio.err, plan.null,
                           plan.sync,     plan.target.pidfd.get(), plan.status};
  keep.insert(keep.end(), plan.cgroup_procs.begin(), plan.cgroup_procs.end());
  SYS_TRY(close_all_but(std::move(keep), plan.null));
  for (const int fd : plan.cgroup_procs) {
    if (write(fd, "0", 1) != 1) return sys::errno_error("join cgroup");
  }
  SYS_TRY(set_oom_score(plan));
  const int flags = kNamespaces | (plan.target.rootless ? CLONE_NEWUSER : 0);
  // All at once and by pidfd: no window in which it is in some namespaces only, and no pid that could be reused.
  if (setns(plan.target.pidfd.get(), flags) != 0) return sys::errno_error("setns");

  // The pid namespace is entered by children only. CLONE_PARENT: the new process is a child of the one that called
  // join().
  struct clone_args arguments {};
  int pidfd = -1;
  arguments.flags = CLONE_PARENT | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  const pid_t pid = sys::clone3(arguments);
  if (pid < 0) return sys::errno_error("clone");
  if (pid == 0) fail(plan.sync, run(plan));
  // With its pidfd: by its number alone the parent might find another one, should it die at once.
  SYS_TRY(sync::send(plan.sync, sync::Kind::kPid, pid, pidfd));
  _exit(0);
}

sys::Result<pid_t> clone_helper(JoinPlan& plan, const Cgroup& cgroup) {
  struct clone_args arguments {};
  arguments.exit_signal = SIGCHLD;
  plan.cgroup_procs = cgroup.procs_fds(false);
  const int folder = cgroup.v2_fd();
  if (folder >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(folder);
  }
  pid_t pid = sys::clone3(arguments);
  if (pid < 0 && folder >= 0) {
    plan.cgroup_procs = cgroup.procs_fds(true);
    arguments.flags = 0;
    arguments.cgroup = 0;
    pid = sys::clone3(arguments);
  }
  if (pid < 0) return sys::errno_error("clone");
  if (pid == 0) fail(plan.sync, enter_and_fork(plan));
  return pid;
}

void reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
}

sys::Result<Joining> begin(const Target& target, const Process& process, const Stdio& stdio, const Cgroup& cgroup,
                           int status) {
  auto filter = seccomp::prepare(process.seccomp_filter);
  if (!filter) return filter.take_failure();
  auto null = sys::open(AT_FDCWD, "/dev/null", O_RDWR);
  if (!null) return null.take_failure();
  auto ends = sys::socket_pair(SOCK_SEQPACKET);
  if (!ends) return ends.take_failure();
  JoinPlan plan{target, process, stdio, {}, *filter, null->get(), ends->second.get(), status};
  auto helper = clone_helper(plan, cgroup);
  if (!helper) return helper.take_failure();
  return Joining{*helper, std::move(ends->first)};
}

}  // namespace

sys::Result<Joining> begin_join(const Target& target, const Process& process, const Stdio& stdio, const Cgroup& cgroup,
                                int status) {
  return begin(target, process, stdio, cgroup, status);
}

sys::Result<Init> finish_join(Joining joining) {
  auto message = sync::receive(joining.sync.get());
  if (!message) {
    return sys::error("setns", "the process ended before it could say why: it was killed, perhaps for want of memory",
                      ECHILD);
  }
  if (message->kind == sync::Kind::kError) return std::move(message->error);
  if (message->kind != sync::Kind::kPid || !message->fd) return sys::errno_error("setns", {}, EBADMSG);
  Init init;
  init.pid = message->value;
  init.pidfd = std::move(message->fd);
  init.sync = std::move(joining.sync);
  SYS_TRY(release(init, Point::kNamespaces));
  return init;
}

sys::Result<Init> join(const Target& target, const Process& process, const Stdio& stdio, const Cgroup& cgroup) {
  auto joining = begin(target, process, stdio, cgroup, -1);
  if (!joining) return joining.take_failure();
  const pid_t helper = joining->helper;
  // Blocks until the helper has spoken or ended.
  auto init = finish_join(std::move(*joining));
  reap(helper);
  return init;
}

}  // namespace jail
