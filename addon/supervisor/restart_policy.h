// Whether a container that has ended is started again, and when: Docker's policies and its back-off.
#pragma once

#include <cstdint>
#include <optional>

namespace supervisor {

struct RestartConfig {
  enum class Policy { kNo, kOnFailure, kAlways, kUnlessStopped };
  Policy policy = Policy::kNo;
  int max_retries = 0;  // of kOnFailure; 0: no end
};

class RestartPolicy {
 public:
  explicit RestartPolicy(RestartConfig config) : config_(config) {}

  // Somebody has started it: all is forgotten.
  void begin();
  // Somebody has ended it: it stays so until the next begin().
  void end() { ended_ = true; }
  // Another policy from the next end on; what is counted stays.
  void change(RestartConfig config) { config_ = config; }

  // After how many milliseconds the program is to be started again, which has ended with `exit_code` after running for
  // `ran_ms`; nothing: not at all. Counts as a restart.
  std::optional<int64_t> next(int exit_code, int64_t ran_ms);

  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] const RestartConfig& config() const { return config_; }

 private:
  [[nodiscard]] bool wants(int exit_code) const;

  RestartConfig config_;
  bool ended_ = false;
  int count_ = 0;
  int64_t delay_ms_ = 0;
};

}  // namespace supervisor
