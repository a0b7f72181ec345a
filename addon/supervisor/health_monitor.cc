#include "supervisor/health_monitor.h"

#include <fcntl.h>

#include <utility>

#include "supervisor/clock.h"
#include "supervisor/json_text.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kFileName = "health.json";
constexpr size_t kKept = 5;
constexpr int64_t kBusyMs = 20;  // until what the last probe left behind is gone

}  // namespace

HealthMonitor::HealthMonitor(Loop& loop, const Config& config, std::function<void()> on_change)
    : loop_(loop), config_(config), on_change_(std::move(on_change)), probe_(loop) {
  if (!config_.health) return;
  // As exec does it: its user, environment and folder, no terminal.
  process_ = config_.spec.process;
  process_.args = config_.health->args;
  process_.terminal = false;
  process_.create_cwd = false;
}

void HealthMonitor::start(const jail::Init& init, const jail::Cgroup& cgroup) {
  if (!config_.health) return;
  init_ = &init;
  cgroup_ = &cgroup;
  paused_ = false;
  failing_streak_ = 0;
  started_ms_ = monotonic_ms();
  status_ = Health::kStarting;
  write();
  schedule();
}

void HealthMonitor::pause() {
  paused_ = true;
  loop_.cancel(timer_);
  probe_.suspend();
}

void HealthMonitor::unpause() {
  paused_ = false;
  if (init_ == nullptr) return;
  probe_.resume();
  if (!probe_.pending()) schedule();
}

void HealthMonitor::stop() {
  loop_.cancel(timer_);
  probe_.abandon();
  if (init_ == nullptr) return;
  init_ = nullptr;
  status_ = Health::kUnhealthy;
  write();
}

void HealthMonitor::schedule() {
  const bool young = status_ == Health::kStarting && monotonic_ms() - started_ms_ < config_.health->start_period_ms;
  loop_.cancel(timer_);
  timer_ = loop_.after(young ? config_.health->start_interval_ms : config_.health->interval_ms, [this] { probe(); });
}

void HealthMonitor::probe() {
  timer_ = 0;
  if (probe_.busy()) {
    timer_ = loop_.after(kBusyMs, [this] { probe(); });
    return;
  }
  probe_began_ = now_text();
  probe_began_ms_ = monotonic_ms();
  probe_.begin(*init_, *cgroup_, process_, config_.spec.rootless, config_.health->timeout_ms,
               [this](ProbeResult result) { on_result(std::move(result)); });
}

void HealthMonitor::on_result(ProbeResult result) {
  const Health before = status_;
  judge(result.exit_code);
  log_.push_back(Entry{probe_began_, now_text(), std::move(result)});
  if (log_.size() > kKept) log_.pop_front();
  write();
  if (!paused_) schedule();
  if (status_ != before) on_change_();
}

void HealthMonitor::judge(int exit_code) {
  if (exit_code == 0) {
    failing_streak_ = 0;
    status_ = Health::kHealthy;
    return;
  }
  // One that was never well yet may fail for a while.
  const bool forgiven = status_ == Health::kStarting && probe_began_ms_ - started_ms_ < config_.health->start_period_ms;
  if (!forgiven && ++failing_streak_ >= config_.health->retries) status_ = Health::kUnhealthy;
}

// Beside state.json: what the probes said is long, and only who inspects the container wants it.
void HealthMonitor::write() const {
  std::string log = "[";
  for (const Entry& entry : log_) {
    JsonText json;
    json.put("start", entry.start).put("end", entry.end).put("exitCode", entry.result.exit_code);
    log += (log.size() > 1 ? "," : "") + json.put("output", entry.result.output).text();
  }
  JsonText json;
  json.put("status", health_name(status_)).put("failingStreak", failing_streak_).put_raw("log", log + "]");
  const sys::Fd folder(open(config_.bundle.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  // A full disk must not make a container sick: its status is still told over the socket.
  if (folder) (void)sys::replace_file(folder.get(), kFileName, json.text(), 0600, false).ok();
}

}  // namespace supervisor
