#include "jail/init.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "jail/cwd.h"
#include "jail/launch.h"
#include "jail/masks.h"
#include "jail/mounts.h"
#include "jail/procfs.h"
#include "jail/rootfs.h"
#include "jail/stdio.h"
#include "jail/sync.h"
#include "jail/terminal.h"
#include "sys/small_file.h"

namespace jail {
namespace {

sys::Result<void> close_inherited(const InitPlan& plan) {
  std::vector<int> keep = {plan.stdio.in, plan.stdio.out, plan.stdio.err, plan.null, plan.sync};
  keep.insert(keep.end(), plan.cgroup_procs.begin(), plan.cgroup_procs.end());
  for (const auto& [flag, fd] : plan.joined) keep.push_back(fd.get());
  return close_all_but(std::move(keep), plan.null);
}

sys::Result<void> join_cgroups(const std::vector<int>& procs) {
  for (const int fd : procs) {
    if (write(fd, "0", 1) != 1) return sys::errno_error("join cgroup");
  }
  return {};
}

bool is_new(const Spec& spec, int flag) {
  const Namespace* entry = spec.find_namespace(flag);
  return entry != nullptr && entry->path.empty();
}

sys::Result<void> enter_namespaces(const InitPlan& plan) {
  for (const auto& [flag, fd] : plan.joined) {
    if (flag == CLONE_NEWPID) continue;  // entered by the parent, for its children
    if (setns(fd.get(), flag) != 0) return sys::errno_error("join namespace");
  }
  // Only now: its root is the cgroup that this process is in when it is made.
  if (is_new(plan.spec, CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) != 0) return sys::errno_error("unshare cgroup");
  return {};
}

sys::Result<void> bring_loopback_up() {
  const sys::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return sys::errno_error("loopback");
  ifreq request{};
  strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return sys::errno_error("loopback");
  return {};
}

// From here, and not by our pid from outside: a process in a user namespace may not look at one that is not dumpable.
sys::Result<void> hand_over_network(int sync) {
  auto network = sys::open(AT_FDCWD, "/proc/self/ns/net", O_RDONLY);
  if (!network) return network.take_failure();
  return sync::send(sync, sync::Kind::kNetwork, 0, network->get());
}

sys::Result<void> set_names(const Spec& spec) {
  if (!is_new(spec, CLONE_NEWUTS)) return {};
  if (!spec.hostname.empty() && sethostname(spec.hostname.data(), spec.hostname.size()) != 0) {
    return sys::errno_error("sethostname");
  }
  if (!spec.domainname.empty() && setdomainname(spec.domainname.data(), spec.domainname.size()) != 0) {
    return sys::errno_error("setdomainname");
  }
  return {};
}

// The procfs they were written through, when there were any.
sys::Result<sys::Fd> write_process_settings(const Spec& spec) {
  if (spec.sysctls.empty() && !spec.process.oom_score_adj) return sys::Fd();
  auto proc = private_procfs();
  if (!proc) return proc;
  SYS_TRY(set_sysctls(proc->get(), spec));
  if (!spec.process.oom_score_adj) return proc;
  // A non-dumpable process's files belong to the host's root, which in a user namespace is nobody. Init is alone in its
  // namespaces at this point, and its memory holds nothing secret yet.
  if (spec.rootless) (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  auto written = write_procfs(proc->get(), std::to_string(getpid()) + "/oom_score_adj",
                              std::to_string(*spec.process.oom_score_adj));
  if (spec.rootless) (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (!written) return written.take_failure();
  return proc;
}

sys::Result<Terminal> make_terminal(const Spec& spec, const Mounted& mounted) {
  if (!spec.process.terminal) return Terminal{};
  if (!mounted.devpts) return sys::error("open terminal", "a terminal needs a devpts mount on /dev/pts", ENODEV);
  auto ptmx = open_multiplexer(mounted.devpts.get());
  if (!ptmx) return ptmx.take_failure();
  auto terminal = open_terminal(*ptmx, spec.process.columns, spec.process.rows);
  if (!terminal) return terminal;
  if (mounted.dev) SYS_TRY(bind_console(mounted.dev.get(), *terminal));
  return terminal;
}

// Everything is mounted and confined before the root is entered: until then each path is resolved within a descriptor
// of the new root, and the host's own /dev/null and /sys can still be used as sources.
sys::Result<Terminal> build_root(const InitPlan& plan) {
  const Spec& spec = plan.spec;
  auto sources = open_sources(spec);
  if (!sources) return sources.take_failure();
  SYS_TRY(stop_propagation());
  auto proc = write_process_settings(spec);
  if (!proc) return proc.take_failure();
  auto root = mount_rootfs(spec.rootfs);
  if (!root) return root.take_failure();
  auto mounted = mount_all(root->get(), spec, {std::move(*sources), std::move(*proc)}, plan.cgroup);
  if (!mounted) return mounted.take_failure();
  auto terminal = make_terminal(spec, *mounted);
  if (!terminal) return terminal;
  SYS_TRY(make_read_only(root->get(), spec.readonly_paths));
  SYS_TRY(mask_paths(root->get(), spec.masked_paths));
  if (spec.process.create_cwd) SYS_TRY(create_cwd(root->get(), spec.process.cwd));
  SYS_TRY(finish_rootfs(root->get(), spec.rootfs));
  SYS_TRY(enter_rootfs(root->get()));
  return terminal;
}

sys::Error init(const InitPlan& plan) {
  const Spec& spec = plan.spec;
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return sys::errno_error("set non-dumpable");
  reset_signals();
  SYS_TRY(close_inherited(plan));
  SYS_TRY(join_cgroups(plan.cgroup_procs));
  SYS_TRY(enter_namespaces(plan));
  if (is_new(spec, CLONE_NEWNET)) {
    SYS_TRY(bring_loopback_up());
    SYS_TRY(hand_over_network(plan.sync));
  }
  SYS_TRY(stand_at(plan.sync, Point::kNamespaces));

  umask(0);
  SYS_TRY(set_names(spec));
  auto terminal = build_root(plan);
  if (!terminal) return terminal.take_failure();
  Launch last{spec.process, plan.stdio, plan.filter, plan.null, plan.sync};
  last.rootless = spec.rootless;
  last.reaper = spec.init;
  if (!is_new(spec, CLONE_NEWPID)) {
    // Seen from a namespace that was joined, the parent is outside: 0.
    last.die_with = spec.find_namespace(CLONE_NEWPID) == nullptr ? plan.parent : 0;
  }
  return launch(last, std::move(*terminal));
}

}  // namespace

[[noreturn]] void run_init(const InitPlan& plan) { fail(plan.sync, init(plan)); }

}  // namespace jail
