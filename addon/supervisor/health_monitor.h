// Whether a container is well: its health check, run again and again, with Docker's rules.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "supervisor/config.h"
#include "supervisor/health_probe.h"
#include "supervisor/loop.h"
#include "supervisor/state.h"

namespace supervisor {

class HealthMonitor {
 public:
  // `on_change` runs when status() has become another. The loop and the configuration outlive this.
  HealthMonitor(Loop& loop, const Config& config, std::function<void()> on_change);

  // The container runs, as `init` and in `cgroup`, until stop(). Nothing happens without a health check.
  void start(const jail::Init& init, const jail::Cgroup& cgroup);
  void pause();
  void unpause();
  // It has ended: as in Docker it is unhealthy then.
  void stop();

  [[nodiscard]] Health status() const { return status_; }
  [[nodiscard]] bool is_child(pid_t pid) const { return probe_.is_child(pid); }

 private:
  struct Entry {
    std::string start;
    std::string end;
    ProbeResult result;
  };

  void schedule();
  void probe();
  void on_result(ProbeResult result);
  void judge(int exit_code);
  void write() const;

  Loop& loop_;
  const Config& config_;
  std::function<void()> on_change_;
  HealthProbe probe_;
  jail::Process process_;
  const jail::Init* init_ = nullptr;
  const jail::Cgroup* cgroup_ = nullptr;
  Health status_ = Health::kNone;
  bool paused_ = false;
  int failing_streak_ = 0;
  std::deque<Entry> log_;
  std::string probe_began_;
  int64_t started_ms_ = 0;
  int64_t probe_began_ms_ = 0;
  Loop::Timer timer_ = 0;
};

}  // namespace supervisor
