#include "supervisor/health_probe.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "supervisor/host.h"
#include "sys/kernel.h"

namespace supervisor {
namespace {

constexpr size_t kMaxOutput = 4096;  // as Docker keeps
constexpr int64_t kRoundMs = 10;
// Rounds of killing what is listed; then the guard goes too, and with it the hope that nothing of a fork bomb is left
// to PID 1.
constexpr int kMaxRounds = 100;

struct Pipe {
  sys::Fd read_end;
  sys::Fd write_end;
};

sys::Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return sys::errno_error("pipe2");
  // Only our end: O_NONBLOCK belongs to the open file.
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return Pipe{sys::Fd(ends[0]), sys::Fd(ends[1])};
}

}  // namespace

void HealthProbe::begin(const jail::Init& init, const jail::Cgroup& cgroup, const jail::Process& process, bool rootless,
                        int64_t timeout_ms, Done done) {
  done_ = std::move(done);
  timeout_ms_ = timeout_ms;
  text_.clear();
  rounds_ = 0;
  const auto launched = launch(init, cgroup, process, rootless);
  if (!launched) {
    fail(launched.failure());
    return;
  }
  resume();
}

sys::Result<void> HealthProbe::launch(const jail::Init& init, const jail::Cgroup& cgroup, const jail::Process& process,
                                      bool rootless) {
  jail::Target target;
  target.pidfd.reset(fcntl(init.pidfd.get(), F_DUPFD_CLOEXEC, 3));
  target.rootless = rootless;
  auto output = make_pipe();
  if (!output) return output.take_failure();
  auto status = make_pipe();
  if (!status) return status.take_failure();
  auto own = jail::Cgroup::create_exec(cgroup.folder_fds(), "health-" + std::to_string(++number_));
  if (!own) return own.take_failure();
  cgroup_ = std::move(*own);
  const int out = output->write_end.get();
  auto joining = jail::begin_join(target, process, jail::Stdio{-1, out, out}, cgroup_, status->write_end.get());
  if (!joining) return joining.take_failure();
  joining_ = std::move(*joining);
  stage_ = Stage::kJoining;
  output_ = std::move(output->read_end);
  status_ = std::move(status->read_end);
  return loop_.watch(joining_.sync.get(), EPOLLIN, [this](uint32_t) { on_sync(); });
}

void HealthProbe::on_sync() {
  const auto advanced = advance();
  if (!advanced) fail(advanced.failure());
}

sys::Result<void> HealthProbe::advance() {
  if (stage_ == Stage::kJoining) {
    loop_.forget(joining_.sync.get());
    auto init = jail::finish_join(std::exchange(joining_, {}));
    if (!init) return init.take_failure();
    init_ = std::move(*init);
    stage_ = Stage::kStarting;
    next_point_ = jail::Point::kRootfs;
    SYS_TRY(loop_.watch(init_.pidfd.get(), EPOLLIN, [this](uint32_t) { on_guard_end(); }));
    return loop_.watch(init_.sync.get(), EPOLLIN, [this](uint32_t) { on_sync(); });
  }
  SYS_TRY(jail::wait(init_, next_point_));
  if (next_point_ == jail::Point::kRootfs) {
    next_point_ = jail::Point::kExec;
    return jail::release(init_, jail::Point::kRootfs);
  }
  close(init_.sync);
  stage_ = Stage::kRunning;
  SYS_TRY(loop_.watch(output_.get(), EPOLLIN, [this](uint32_t) { read_output(); }));
  return loop_.watch(status_.get(), EPOLLIN, [this](uint32_t) { on_status(); });
}

void HealthProbe::read_output() {
  char data[65536];
  for (;;) {
    const ssize_t size = read(output_.get(), data, sizeof data);
    if (size < 0 && errno == EINTR) continue;
    // Its end: nobody has it open any more.
    if (size == 0) close(output_);
    if (size <= 0) return;
    // The rest is read and forgotten, so that nobody is held up by a full pipe.
    text_.append(data, std::min(static_cast<size_t>(size), kMaxOutput - text_.size()));
    if (size < static_cast<ssize_t>(sizeof data)) return;
  }
}

void HealthProbe::on_status() {
  int status = 0;
  const bool told = read(status_.get(), &status, sizeof status) == static_cast<ssize_t>(sizeof status);
  if (output_) read_output();
  ProbeResult result;
  result.output = text_;
  if (told) result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  finish(std::move(result));
}

void HealthProbe::on_timeout() {
  if (output_ && stage_ == Stage::kRunning) read_output();
  ProbeResult result;
  result.output =
      ("Health check exceeded timeout (" + std::to_string(timeout_ms_) + " ms)" + (text_.empty() ? "" : ": " + text_))
          .substr(0, kMaxOutput);
  finish(std::move(result));
}

void HealthProbe::fail(const sys::Error& failure) {
  ProbeResult result;
  result.output = (failure.step + ": " + describe(failure)).substr(0, kMaxOutput);
  finish(std::move(result));
}

// The result is known. What the probe has left behind goes too, before the next one may begin.
void HealthProbe::finish(ProbeResult result) {
  loop_.cancel(timer_);
  if (stage_ == Stage::kStarting && init_.pidfd) sys::pidfd_send_signal(init_.pidfd.get(), SIGKILL);
  if (joining_.sync) loop_.forget(joining_.sync.get());
  joining_ = {};
  if (init_.sync) close(init_.sync);
  close(output_);
  close(status_);
  const bool alone = !init_.pidfd;
  stage_ = Stage::kEnding;
  if (alone) {
    (void)cgroup_.kill().ok();
    clear();
  } else {
    kill_rest();
  }
  if (const Done done = std::exchange(done_, nullptr)) done(std::move(result));
}

// All but the guard, which reaps them and then ends by itself.
void HealthProbe::kill_rest() {
  if (cgroup_.empty() || ++rounds_ > kMaxRounds) {
    sys::pidfd_send_signal(init_.pidfd.get(), SIGKILL);
    (void)cgroup_.kill().ok();
    return;
  }
  for (const pid_t pid : cgroup_.processes()) {
    if (pid != init_.pid) kill(pid, SIGKILL);
  }
  timer_ = loop_.after(kRoundMs, [this] { kill_rest(); });
}

void HealthProbe::on_guard_end() {
  // Killed from within, it can tell nothing.
  if (stage_ == Stage::kRunning) on_status();
  if (stage_ == Stage::kStarting) fail(sys::error("health check", "its process was killed before it could start"));
  clear();
}

void HealthProbe::suspend() {
  if (stage_ != Stage::kIdle) loop_.cancel(timer_);
}

void HealthProbe::resume() {
  if (stage_ == Stage::kIdle) return;
  loop_.cancel(timer_);
  if (stage_ == Stage::kEnding) {
    kill_rest();
  } else {
    timer_ = loop_.after(timeout_ms_, [this] { on_timeout(); });
  }
}

void HealthProbe::abandon() {
  if (stage_ == Stage::kIdle) return;
  done_ = nullptr;
  (void)cgroup_.kill().ok();
  clear();
}

void HealthProbe::close(sys::Fd& fd) {
  if (!fd) return;
  loop_.forget(fd.get());
  fd.reset();
}

void HealthProbe::clear() {
  loop_.cancel(timer_);
  if (joining_.sync) close(joining_.sync);
  joining_ = {};
  close(output_);
  close(status_);
  if (init_.sync) close(init_.sync);
  if (init_.pidfd) {
    loop_.forget(init_.pidfd.get());
    siginfo_t info{};
    // One that is not dead yet is reaped as an orphan.
    waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(init_.pidfd.get()), &info, WEXITED | WNOHANG | __WALL);
  }
  init_ = {};
  // What cannot be removed yet goes with the container's.
  (void)cgroup_.remove(0).ok();
  cgroup_ = {};
  stage_ = Stage::kIdle;
}

}  // namespace supervisor
