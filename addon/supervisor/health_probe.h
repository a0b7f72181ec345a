// One run of a container's health check: a process in the container, its output, and the end of all that it started.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "jail/cgroup.h"
#include "jail/jail.h"
#include "supervisor/loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

struct ProbeResult {
  int exit_code = -1;  // -1: it could not be run, or took too long
  std::string output;  // the first 4096 bytes of both streams
};

class HealthProbe {
 public:
  using Done = std::function<void(ProbeResult result)>;

  explicit HealthProbe(Loop& loop) : loop_(loop) {}
  ~HealthProbe() { abandon(); }
  HealthProbe(const HealthProbe&) = delete;
  HealthProbe& operator=(const HealthProbe&) = delete;

  // `process` runs in the container of `init`, in a child of `cgroup`; `done` is told its end, once. Nothing waits for
  // anything here: a container that is throttled does not hold up its supervisor.
  void begin(const jail::Init& init, const jail::Cgroup& cgroup, const jail::Process& process, bool rootless,
             int64_t timeout_ms, Done done);
  // The container stands still, and with it the time that the probe may take.
  void suspend();
  void resume();
  // The container has ended, and with it whatever ran in it: `done` is not told.
  void abandon();

  // `done` is still to be told.
  [[nodiscard]] bool pending() const { return done_ != nullptr; }
  // Something of it may be left in the container.
  [[nodiscard]] bool busy() const { return stage_ != Stage::kIdle; }
  [[nodiscard]] bool is_child(pid_t pid) const { return init_.pidfd && pid == init_.pid; }

 private:
  enum class Stage { kIdle, kJoining, kStarting, kRunning, kEnding };

  sys::Result<void> launch(const jail::Init& init, const jail::Cgroup& cgroup, const jail::Process& process,
                           bool rootless);
  void on_sync();
  sys::Result<void> advance();
  void on_status();
  void read_output();
  void on_timeout();
  void finish(ProbeResult result);
  void fail(const sys::Error& failure);
  void kill_rest();
  void on_guard_end();
  void close(sys::Fd& fd);
  void clear();

  Loop& loop_;
  Stage stage_ = Stage::kIdle;
  jail::Point next_point_ = jail::Point::kRootfs;
  jail::Cgroup cgroup_;
  jail::Joining joining_;
  jail::Init init_;  // the guard
  sys::Fd output_;
  sys::Fd status_;
  std::string text_;
  int64_t timeout_ms_ = 0;
  Loop::Timer timer_ = 0;
  int rounds_ = 0;
  uint64_t number_ = 0;
  Done done_;
};

}  // namespace supervisor
