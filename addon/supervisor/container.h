// One container's life, from its configuration to its removal.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "jail/cgroup.h"
#include "jail/jail.h"
#include "supervisor/config.h"
#include "supervisor/container_network.h"
#include "supervisor/freeze.h"
#include "supervisor/health_monitor.h"
#include "supervisor/journal.h"
#include "supervisor/log_writer.h"
#include "supervisor/loop.h"
#include "supervisor/network_loan.h"
#include "supervisor/restart_policy.h"
#include "supervisor/state.h"
#include "supervisor/stdio.h"
#include "sys/result.h"

namespace supervisor {

class Container {
 public:
  // Null when it went well.
  using Done = std::function<void(const sys::Error* failure)>;
  struct Observer {
    std::function<void()> changed;     // state() is another
    std::function<void()> logged;      // the log has grown
    std::function<void()> input_room;  // stdin().input_full() has become false
    std::function<void()> settled;     // nothing runs any more: the process has ended, or could not be started
  };

  Container(Loop& loop, Config config, LogWriter log, Journal journal, Observer observer);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  // Who ends it. A host that goes down ends it too, but its policy may start it again after the boot.
  enum class By { kUser, kHost };

  // The program runs (execve has succeeded), or nothing of the attempt is left. Of one that runs, or is being started,
  // nothing is started again: as in Docker that is no failure, unless it is paused. While it waits to be started again
  // it is started now.
  void start(Done done);
  // To PID 1 of the container. SIGKILL and its stop signal end its policy, as in Docker.
  sys::Result<void> send_signal(int number);
  // `number`, and after `timeout_ms` (less than 0: never) the end of everything in it. `done` runs when it has ended,
  // at once when nothing runs. Its policy does not start it again.
  void stop(int number, int64_t timeout_ms, By by, Done done);
  // Its terminal has this size, or will have it from the beginning of its next run.
  sys::Result<void> resize(uint16_t columns, uint16_t rows);
  // SIGKILL to everything in it, also while paused; its policy does not start it again.
  void end_now();
  // Other limits, in force at once if it runs, and another policy, from its next end on; both stay for its next starts.
  // After a failure nothing has changed. `request`: see update.h.
  sys::Result<void> update(const sys::Json& request);
  // What it has written becomes layers that nobody changes any more; see freeze.h. EBUSY unless it rests. Returns those
  // that were made: a folder in which nothing is new makes none.
  sys::Result<std::vector<Freezing>> freeze(const FreezeRequest& request);
  // It is on one more network, at once if it runs, and at its next starts; or not on that one any more. After a failure
  // nothing has changed. `{endpoint: <an entry of dinghy.network.endpoints>}`, `{network: <its name>}`.
  sys::Result<void> connect(const sys::Json& request);
  sys::Result<void> disconnect(const sys::Json& request);
  // The descriptor of its network namespace, for another container that shares it. ESRCH while nothing of it runs, or
  // is about to.
  sys::Result<int> lend_network();
  sys::Result<void> pause();
  sys::Result<void> unpause();
  // While it runs, its processes stand still until as many resume() have followed, of this run: whoever looks at its
  // files for a moment; it is not paused to anybody. Returns the run; ENOTSUP where this host has no way to do it.
  sys::Result<int> suspend();
  // Nothing when that run is over.
  sys::Result<void> resume(int run);
  // Its config.json and container.json are those in the folder `draft`, and of its names on disk it is `to` that goes
  // with it, not `from`.
  sys::Result<void> rename(const std::string& draft, const std::string& from, const std::string& to,
                           const std::string& old_name);
  // Everything that was made for it is gone: links, ports, cgroup, the configured paths and folders. Not while it is
  // active.
  sys::Result<void> remove();
  // What lives outside the kernel's own clean-up is undone, its folders stay: the supervisor is about to exit.
  void let_go();

  // Starting, running, paused, or about to be started again.
  [[nodiscard]] bool active() const { return phase_ != Phase::kIdle; }
  [[nodiscard]] bool running() const { return phase_ == Phase::kRunning; }
  // Nothing of it runs, nor is about to be started at this moment.
  [[nodiscard]] bool resting() const { return phase_ == Phase::kIdle || phase_ == Phase::kWaiting; }
  // While held it is not restarted by its policy; one that falls due comes then.
  void hold_restarts(bool held);
  [[nodiscard]] bool is_child(pid_t pid) const {
    return pid == init_.pid || network_.is_child(pid) || health_.is_child(pid);
  }
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const jail::Init& init() const { return init_; }
  [[nodiscard]] const jail::Cgroup& cgroup() const { return cgroup_; }
  [[nodiscard]] uint64_t log_size() const { return log_.size(); }
  Journal& journal() { return journal_; }
  Stdio& stdio() { return stdio_; }

 private:
  enum class Phase { kIdle, kStarting, kRunning, kWaiting };

  void launch();
  void restart_is_due();
  sys::Result<void> borrow_network();
  sys::Result<void> begin_start();
  void on_sync();
  sys::Result<void> advance();
  void finish_start();
  void fail_start(const sys::Error& reason);
  void on_exit();
  void record_exit(int code, int signal);
  void signal_init(int number);
  void on_health();
  bool count_oom_kills();
  [[nodiscard]] bool stands_still() const { return state_.status == Status::kPaused || suspensions_ > 0; }
  sys::Result<void> stand_still();
  sys::Result<void> go_on();
  void end_policy(By by);
  void stop_waiting();
  void settle();
  void end_process();
  void remove_cgroup();
  void publish();
  void note_networks();
  void release_claims(const Endpoint& endpoint) const;
  void on_output();

  Loop& loop_;
  Config config_;
  LogWriter log_;
  Journal journal_;
  Observer observer_;
  State state_;
  Stdio stdio_;
  ContainerNetwork network_;
  NetworkLoan loan_;
  jail::Cgroup cgroup_;
  jail::Init init_;
  jail::Point next_point_ = jail::Point::kNamespaces;
  Phase phase_ = Phase::kIdle;
  std::vector<Done> start_waiters_;
  std::vector<Done> end_waiters_;
  Loop::Timer stop_timer_ = 0;
  RestartPolicy restart_;
  Loop::Timer restart_timer_ = 0;
  bool restarts_held_ = false;
  bool restart_due_ = false;
  int64_t started_ms_ = 0;
  Loop::Timer lost_timer_ = 0;
  uint64_t lost_before_ = 0;  // in the log of earlier supervisors
  HealthMonitor health_;
  int suspensions_ = 0;  // of this run
  bool killed_by_us_ = false;
  bool stopping_ = false;  // stop() was asked for, and has not ended it yet
};

}  // namespace supervisor
