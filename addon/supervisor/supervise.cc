#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>

#include "jail/cgroup.h"
#include "jail/jail.h"
#include "supervisor/config.h"
#include "supervisor/container.h"
#include "supervisor/handshake.h"
#include "supervisor/journal.h"
#include "supervisor/modes.h"
#include "supervisor/process.h"
#include "supervisor/rootless.h"
#include "supervisor/server.h"

namespace supervisor {
namespace {

struct OpenRequest {
  Config config;
  std::string socket;
};

sys::Result<OpenRequest> parse_open(const Request& request) {
  if (request.op != "open") return sys::error("open", "the first request must be open", EPROTO);
  sys::JsonReader reader("open");
  const std::string bundle = reader.text(&request.document, "bundle");
  OpenRequest open;
  open.socket = reader.text(&request.document, "socket");
  SYS_TRY(reader.done());
  auto config = read_config(bundle);
  if (!config) return config.take_failure();
  open.config = std::move(*config);
  return open;
}

// Without rights on the host: a user namespace, and in it the pid namespace that the addon could not make.
sys::Result<void> enter_namespaces(const Config& config) {
  SYS_TRY(enter_rootless(*config.rootless));
  const jail::Namespace* pids = config.spec.find_namespace(CLONE_NEWPID);
  return pids != nullptr && pids->path.empty() ? enter_pid_namespace() : sys::Result<void>();
}

// Twice: another one that ends may remove the cgroup between its making and our joining.
jail::Cgroup join_supervisors_cgroup(bool rootless) {
  for (int attempt = 0; attempt < 2; attempt++) {
    auto cgroup = jail::Cgroup::create(kSupervisorsCgroup, {}, rootless);
    if (cgroup && cgroup->add(getpid())) return std::move(*cgroup);
  }
  return {};
}

// The last one to leave takes it down. While others are in it the kernel says EBUSY, and it stays.
void leave_supervisors_cgroup(jail::Cgroup cgroup) {
  if (cgroup.leave()) (void)cgroup.remove(0).ok();
}

int fail_open(int64_t id, const sys::Error& failure) {
  reply_error_now(kControlFd, id, failure);
  return 1;
}

int run(Loop& loop, OpenRequest open, FirstRequest first) {
  const int64_t id = first.request.id;
  auto log = LogWriter::open(open.config.log);
  if (!log) return fail_open(id, log.failure());
  jail::Cgroup supervisors;
  const bool outlives_creator = open.config.detached || open.config.shared;
  if (outlives_creator) supervisors = join_supervisors_cgroup(open.config.spec.rootless);

  Journal journal(open.socket, open.config.bundle, open.config.id);
  Server server(loop);
  Container::Observer observer;
  observer.changed = [&server] { server.state_changed(); };
  observer.logged = [&server] { server.log_grown(); };
  observer.input_room = [&server] { server.input_room(); };
  observer.settled = [&server] { server.settled(); };
  Container container(loop, std::move(open.config), std::move(*log), std::move(journal), std::move(observer));
  server.serve(container);

  const auto is_known = [&container](pid_t pid) { return container.is_child(pid); };
  auto signals = watch_signals(
      loop, [&server] { server.shut_down(); }, is_known);
  if (!signals) return fail_open(id, signals.failure());
  const auto listening = server.listen(open.socket);
  if (!listening) return fail_open(id, listening.failure());
  reply_now(kControlFd, id, "{}");
  const auto adopted = server.adopt(sys::Fd(kControlFd), std::move(first.reader), first.hold);
  // From here on only clients and the container decide when to end.
  const int status = adopted ? loop.run() : 1;
  leave_supervisors_cgroup(std::move(supervisors));
  return status;
}

}  // namespace

int supervise_mode() {
  prepare_process(kLockFd + 1);
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  fcntl(kLockFd, F_SETFD, FD_CLOEXEC);
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  const int64_t id = first->request.id;
  auto open = parse_open(first->request);
  if (!open) return fail_open(id, open.failure());
  if (open->config.rootless) {
    const auto entered = enter_namespaces(open->config);
    if (!entered) return fail_open(id, entered.failure());
  }
  auto loop = Loop::create();
  if (!loop) return fail_open(id, loop.failure());
  return run(*loop, std::move(*open), std::move(*first));
}

}  // namespace supervisor
