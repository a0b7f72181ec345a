#include "supervisor/container.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "supervisor/clock.h"
#include "supervisor/config_draft.h"
#include "supervisor/host.h"
#include "supervisor/update.h"
#include "supervisor/volume_users.h"
#include "sys/kernel.h"
#include "sys/small_file.h"
#include "sys/tree.h"

namespace supervisor {
namespace {

constexpr size_t kMaxClaimSize = 4096;
constexpr int64_t kLostDelayMs = 200;

constexpr int64_t kOomCountMs = 100;

siginfo_t reap(const sys::Fd& pidfd) {
  siginfo_t info{};
  while (waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd.get()), &info, WEXITED | __WALL) < 0 &&
         errno == EINTR) {
  }
  return info;
}

// A name is a link to the container's id, an address a file that holds it; whatever else is to be released has no such
// owner. One that was taken for abandoned, or renamed by a process that was killed, may be another container's by now.
bool is_ours(const std::string& path, const std::string& id) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return false;
  if (S_ISLNK(info.st_mode)) {
    char target[PATH_MAX];
    const ssize_t size = readlink(path.c_str(), target, sizeof target);
    return size >= 0 && std::string_view(target, static_cast<size_t>(size)) == id;
  }
  if (!S_ISREG(info.st_mode)) return true;
  const auto owner = sys::read_file(path, kMaxClaimSize);
  return !owner || owner->size() != id.size() || *owner == id;
}

}  // namespace

Container::Container(Loop& loop, Config config, LogWriter log, Journal journal, Observer observer)
    : loop_(loop),
      config_(std::move(config)),
      log_(std::move(log)),
      journal_(std::move(journal)),
      observer_(std::move(observer)),
      stdio_(
          loop, log_, [this] { on_output(); }, [this] { observer_.input_room(); }),
      network_(loop, config_),
      loan_(loop),
      restart_(config_.restart),
      health_(loop, config_, [this] { on_health(); }) {
  state_.oci_version = config_.oci_version;
  state_.id = config_.id;
  state_.bundle = config_.bundle;
  state_.supervisor_pid = own_host_pid();
  state_.boot_id = boot_id();
  load_previous(state_);
  lost_before_ = state_.log_lost;
  publish();
}

void Container::start(Done done) {
  if (phase_ == Phase::kRunning) {
    const sys::Error failure = sys::error("start", "the container is paused", EBUSY);
    done(state_.status == Status::kPaused ? &failure : nullptr);
    return;
  }
  start_waiters_.push_back(std::move(done));
  if (phase_ == Phase::kStarting) return;
  restart_.begin();
  state_.restart_count = 0;
  state_.manually_stopped = false;
  launch();
}

void Container::restart_is_due() {
  restart_due_ = restarts_held_;
  if (!restarts_held_) launch();
}

void Container::hold_restarts(bool held) {
  restarts_held_ = held;
  if (!held && std::exchange(restart_due_, false) && phase_ == Phase::kWaiting) launch();
}

void Container::launch() {
  loop_.cancel(restart_timer_);
  phase_ = Phase::kStarting;
  killed_by_us_ = false;
  stopping_ = false;
  auto begun = config_.network.mode == NetworkMode::kContainer ? borrow_network() : begin_start();
  if (!begun) fail_start(begun.failure());
}

sys::Result<void> Container::begin_start() {
  SYS_TRY(finish_freezing(config_));
  SYS_TRY(network_.prepare());
  if (!config_.spec.cgroups_path.empty()) {
    auto cgroup = jail::Cgroup::create(config_.spec.cgroups_path, config_.spec.resources, config_.spec.rootless);
    if (!cgroup) return cgroup.take_failure();
    cgroup_ = std::move(*cgroup);
  }
  auto ends = stdio_.open(config_.spec.process.terminal, config_.open_stdin);
  if (!ends) return ends.take_failure();
  auto init = jail::create(config_.spec, *ends, cgroup_);
  if (!init) return init.take_failure();
  init_ = std::move(*init);
  next_point_ = jail::Point::kNamespaces;
  log_.begin_run(state_.runs + 1);
  return loop_.watch(init_.sync.get(), EPOLLIN, [this](uint32_t) { on_sync(); });
}

// Init stands at its next point, or has failed: never waited for, so that a stop or a lost lifeline is heard meanwhile.
void Container::on_sync() {
  auto advanced = advance();
  if (!advanced) fail_start(advanced.failure());
}

sys::Result<void> Container::advance() {
  SYS_TRY(jail::wait(init_, next_point_));
  switch (next_point_) {
    case jail::Point::kNamespaces:
      // The network namespace is ours and exists already, so it is connected while init mounts.
      next_point_ = jail::Point::kRootfs;
      if (init_.network) network_.adopt(std::move(init_.network), config_.spec);
      SYS_TRY(jail::release(init_, jail::Point::kNamespaces));
      return network_.connect();
    case jail::Point::kRootfs:
      next_point_ = jail::Point::kExec;
      stdio_.started(std::move(init_.master));
      return jail::release(init_, jail::Point::kRootfs);
    case jail::Point::kExec:
      finish_start();
      return {};
  }
  return {};
}

void Container::finish_start() {
  loop_.forget(init_.sync.get());
  init_.sync.reset();
  auto watched = loop_.watch(init_.pidfd.get(), EPOLLIN, [this](uint32_t) { on_exit(); });
  if (!watched) {
    fail_start(watched.failure());
    return;
  }
  phase_ = Phase::kRunning;
  state_.status = Status::kRunning;
  state_.pid = host_pid(init_.pidfd.get());
  state_.started_at = now_text();
  started_ms_ = monotonic_ms();
  state_.runs++;
  state_.oom_kills = 0;
  // Best effort: who cannot watch still counts them at the end.
  if (cgroup_.oom_fd() >= 0) {
    (void)loop_.watch(cgroup_.oom_fd(), EPOLLIN, [this](uint32_t) {
      cgroup_.drain_oom();
      if (count_oom_kills()) publish();
      // cgroup v1 tells of it before it is done and counted.
      loop_.after(kOomCountMs, [this] {
        if (count_oom_kills()) publish();
      });
    });
  }
  state_.error.clear();
  state_.ports = network_.ports();
  state_.address = network_.address();
  health_.start(init_, cgroup_);
  state_.health = health_.status();
  publish();
  for (const Done& waiter : std::exchange(start_waiters_, {})) waiter(nullptr);
  journal_.note("start");
}

void Container::fail_start(const sys::Error& reason) {
  // What init still said is not why.
  const sys::Error failure =
      killed_by_us_ ? sys::error("start", "somebody ended it while it was being started", ESRCH) : reason;
  loan_.cancel();
  if (init_.pidfd) {
    sys::pidfd_send_signal(init_.pidfd.get(), SIGKILL);
    reap(init_.pidfd);
  }
  end_process();
  remove_cgroup();
  network_.close();
  config_.spec.namespaces = config_.namespaces_as_written;
  // Of a start that somebody stopped there is nothing to tell but to who asked for it.
  state_.error = killed_by_us_ ? "" : failure.step + ": " + describe(failure);
  // As in Docker what cannot be started is not tried again: it stays as it had ended.
  if (state_.status == Status::kRestarting) state_.status = Status::kStopped;
  publish();
  for (const Done& waiter : std::exchange(start_waiters_, {})) waiter(&failure);
  settle();
}

void Container::settle() {
  for (const Done& waiter : std::exchange(end_waiters_, {})) waiter(nullptr);
  observer_.settled();
}

void Container::end_policy(By by) {
  restart_.end();
  if (by == By::kUser) state_.manually_stopped = true;
}

// It was to be started again, and is not: it has ended, as it last did.
void Container::stop_waiting() {
  loop_.cancel(restart_timer_);
  phase_ = Phase::kIdle;
  state_.status = Status::kStopped;
  if (std::exchange(stopping_, false)) journal_.note("stop");
  publish();
  settle();
}

sys::Result<void> Container::send_signal(int number) {
  if (phase_ == Phase::kIdle) return sys::error("signal", "the container is not running", ESRCH);
  const bool ends = number == SIGKILL || number == config_.stop_signal;
  if (ends) end_policy(By::kUser);
  if (phase_ == Phase::kWaiting) {
    if (!ends) return sys::error("signal", "the container is not running: it is about to be started again", ESRCH);
    stop_waiting();
    return {};
  }
  if (number == SIGKILL) {
    end_now();
    return {};
  }
  if (!init_.pidfd) return sys::error("signal", "the container is just being started", ESRCH);
  if (sys::pidfd_send_signal(init_.pidfd.get(), number) < 0) return sys::errno_error("signal");
  journal_.note("kill", {{"signal", std::to_string(number)}});
  return {};
}

void Container::stop(int number, int64_t timeout_ms, By by, Done done) {
  if (phase_ == Phase::kIdle) {
    done(nullptr);
    return;
  }
  end_policy(by);
  end_waiters_.push_back(std::move(done));
  stopping_ = true;
  if (phase_ == Phase::kWaiting) {
    stop_waiting();
    return;
  }
  if (phase_ == Phase::kStarting || number == SIGKILL || timeout_ms == 0) {
    // A program that does not run yet has no handler that a signal could reach.
    if (phase_ != Phase::kStarting && number != SIGKILL) signal_init(number);
    end_now();
    return;
  }
  signal_init(number);
  loop_.cancel(stop_timer_);
  if (timeout_ms > 0) {
    stop_timer_ = loop_.after(timeout_ms, [this] { end_now(); });
  }
}

// Whether the kernel has killed somebody since the last look. PID 1 may live on.
bool Container::count_oom_kills() {
  const uint64_t kills = cgroup_.oom_kills();
  if (kills <= state_.oom_kills) return false;
  state_.oom_kills = kills;
  journal_.note("oom");
  return true;
}

void Container::on_health() {
  state_.health = health_.status();
  publish();
  journal_.note((std::string("health_status: ") + health_name(state_.health)).c_str());
}

void Container::signal_init(int number) {
  sys::pidfd_send_signal(init_.pidfd.get(), number);
  journal_.note("kill", {{"signal", std::to_string(number)}});
}

void Container::end_now() {
  restart_.end();
  if (phase_ == Phase::kWaiting) {
    stop_waiting();
    return;
  }
  if (phase_ == Phase::kIdle) return;
  killed_by_us_ = true;
  // It waits for another container's supervisor: there is nothing to kill.
  if (!init_.pidfd) return fail_start({});
  // With its PID 1 a pid namespace ends. The cgroup has what is left under the host's one, and the frozen: only there
  // must they be thawed.
  sys::pidfd_send_signal(init_.pidfd.get(), SIGKILL);
  (void)cgroup_.kill().ok();
  if (phase_ == Phase::kRunning) journal_.note("kill", {{"signal", std::to_string(SIGKILL)}});
}

sys::Result<void> Container::update(const sys::Json& request) {
  auto changes = parse_update(request);
  if (!changes) return changes.take_failure();
  SYS_TRY(draft_update(config_.bundle, request, config_.detached));
  const bool lives = phase_ == Phase::kStarting || phase_ == Phase::kRunning;
  auto outcome = lives ? cgroup_.update(changes->resources) : sys::Result<void>();
  if (outcome) outcome = adopt_draft(config_.bundle);
  if (!outcome) {
    drop_draft(config_.bundle);
    return outcome;
  }
  merge_resources(config_.spec.resources, changes->resources);
  if (changes->restart) {
    config_.restart = *changes->restart;
    restart_.change(*changes->restart);
  }
  journal_.note("update");
  return {};
}

sys::Result<std::vector<Freezing>> Container::freeze(const FreezeRequest& request) {
  if (!resting()) return sys::error("freeze", "the container is running", EBUSY);
  return supervisor::freeze(config_, request);
}

sys::Result<void> Container::resize(uint16_t columns, uint16_t rows) {
  if (!config_.spec.process.terminal) return sys::error("resize", "the container has no terminal", ENOTTY);
  config_.spec.process.columns = columns;
  config_.spec.process.rows = rows;
  return stdio_.resize(columns, rows);
}

sys::Result<void> Container::pause() {
  if (state_.status == Status::kPaused) return sys::error("pause", "the container is paused already", EBUSY);
  if (state_.status != Status::kRunning) return sys::error("pause", "the container is not running", ESRCH);
  SYS_TRY(stand_still());
  state_.status = Status::kPaused;
  publish();
  journal_.note("pause");
  return {};
}

sys::Result<void> Container::unpause() {
  if (state_.status != Status::kPaused) return sys::error("unpause", "the container is not paused", EINVAL);
  state_.status = Status::kRunning;
  auto goes_on = go_on();
  if (!goes_on) {
    state_.status = Status::kPaused;
    return goes_on;
  }
  publish();
  journal_.note("unpause");
  return {};
}

sys::Result<int> Container::suspend() {
  if (phase_ != Phase::kRunning) return sys::error("suspend", "the container is not running", ESRCH);
  SYS_TRY(stand_still());
  suspensions_++;
  return state_.runs;
}

sys::Result<void> Container::resume(int run) {
  if (phase_ != Phase::kRunning || run != state_.runs || suspensions_ == 0) return {};
  suspensions_--;
  return go_on();
}

sys::Result<void> Container::stand_still() {
  if (cgroup_.empty()) return sys::error("pause", "there is no cgroup on this host to freeze it with", ENOTSUP);
  if (stands_still()) return {};
  health_.pause();
  auto frozen = cgroup_.freeze();
  if (!frozen) health_.unpause();
  return frozen;
}

// Unless somebody else wants it to stand still.
sys::Result<void> Container::go_on() {
  if (stands_still()) return {};
  SYS_TRY(cgroup_.thaw());
  health_.unpause();
  return {};
}

void Container::on_exit() {
  const siginfo_t info = reap(init_.pidfd);
  if (info.si_code == CLD_EXITED) {
    record_exit(info.si_status, 0);
  } else {
    record_exit(128 + info.si_status, info.si_status);
  }
}

// The order matters to whoever waits: the last output is in the log, and the event and the record on disk, before
// anybody hears of the end.
void Container::record_exit(int code, int signal) {
  stdio_.drain();
  (void)count_oom_kills();
  const bool killed = signal == SIGKILL || code == 128 + SIGKILL;
  state_.oom_killed = killed && !killed_by_us_ && state_.oom_kills > 0;
  state_.pid = 0;
  state_.exit_code = code;
  state_.signal = signal;
  state_.finished_at = now_text();
  end_process();
  journal_.note("die", {{"exitCode", std::to_string(code)}});
  if (std::exchange(stopping_, false)) journal_.note("stop");
  const auto delay_ms = restart_.next(code, monotonic_ms() - started_ms_);
  state_.restart_count = restart_.count();
  state_.status = delay_ms ? Status::kRestarting : Status::kStopped;
  if (delay_ms) {
    phase_ = Phase::kWaiting;
    restart_timer_ = loop_.after(*delay_ms, [this] { restart_is_due(); });
  }
  publish();
  // Nobody needs to wait for the kernel to take down an empty one.
  const auto answer = std::exchange(end_waiters_, {});
  for (const Done& waiter : answer) waiter(nullptr);
  remove_cgroup();
  if (phase_ == Phase::kIdle) observer_.settled();
}

// Nothing of one run of the program runs any more, and nothing waits for it.
void Container::end_process() {
  health_.stop();
  state_.health = health_.status();
  loop_.cancel(stop_timer_);
  if (init_.sync) loop_.forget(init_.sync.get());
  if (init_.pidfd) loop_.forget(init_.pidfd.get());
  init_ = {};
  stdio_.discard();
  network_.rest();
  suspensions_ = 0;
  // Without a pid namespace of its own, and with processes that exec put there, somebody may be left.
  // They are gone when its end is told.
  if (cgroup_.populated()) {
    (void)cgroup_.kill().ok();
    remove_cgroup();
  }
  phase_ = Phase::kIdle;
}

void Container::remove_cgroup() {
  if (cgroup_.oom_fd() >= 0) loop_.forget(cgroup_.oom_fd());
  (void)cgroup_.remove().ok();
  cgroup_ = {};
}

// A full disk loses output at the speed of the program: told now and then, not each time.
void Container::on_output() {
  observer_.logged();
  if (lost_timer_ != 0 || state_.log_lost == lost_before_ + log_.lost()) return;
  lost_timer_ = loop_.after(kLostDelayMs, [this] {
    lost_timer_ = 0;
    publish();
  });
}

void Container::publish() {
  state_.log_lost = lost_before_ + log_.lost();
  // A full disk must not end a container: the state is still told over the socket.
  (void)write_state(state_, config_.detached).ok();
  observer_.changed();
}

sys::Result<void> Container::rename(const std::string& draft, const std::string& from, const std::string& to,
                                    const std::string& old_name) {
  for (const char* file : {"config.json", "container.json"}) {
    const std::string target = config_.bundle + "/" + file;
    if (::rename((draft + "/" + file).c_str(), target.c_str()) != 0) return sys::errno_error("rename", target);
  }
  std::replace(config_.release.begin(), config_.release.end(), from, to);
  config_.name = to.substr(to.rfind('/') + 1);
  journal_.load();
  journal_.note("rename", {{"oldName", old_name}});
  // A full disk must not undo what is done: then it goes on being found under the old name.
  (void)network_.rename().ok();
  return {};
}

void Container::let_go() { network_.close(); }

sys::Result<void> Container::remove() {
  network_.close();
  journal_.load();
  sys::Result<void> outcome;
  const auto drop = [&outcome](const std::string& path) {
    auto removed = sys::remove_tree(path);
    if (!removed && outcome) outcome = removed.take_failure();
  };
  // Before the container's own folders: while those are there, whoever finds them goes on from here.
  auto left = leave_volumes(config_.volumes, config_.id);
  if (!left) outcome = left.take_failure();
  for (const std::string& path : config_.trees) drop(path);
  // The name and the addresses last: nobody may take them while something of this container is still there.
  for (const std::string& path : config_.release) {
    if (is_ours(path, config_.id)) drop(path);
  }
  for (const Endpoint& endpoint : config_.network.endpoints) release_claims(endpoint);
  journal_.note("destroy");
  return outcome;
}

void Container::release_claims(const Endpoint& endpoint) const {
  for (const std::string& path : endpoint.claims) {
    if (is_ours(path, config_.id)) unlink(path.c_str());
  }
}

}  // namespace supervisor
