#include "supervisor/restart_policy.h"

#include <algorithm>

namespace supervisor {
namespace {

constexpr int64_t kFirstDelayMs = 100;
constexpr int64_t kLongestDelayMs = 60'000;
constexpr int64_t kSettledMs = 10'000;  // who ran for so long has got over what was wrong

}  // namespace

void RestartPolicy::begin() {
  ended_ = false;
  count_ = 0;
  delay_ms_ = 0;
}

bool RestartPolicy::wants(int exit_code) const {
  switch (config_.policy) {
    case RestartConfig::Policy::kNo:
      return false;
    case RestartConfig::Policy::kOnFailure:
      return exit_code != 0 && (config_.max_retries == 0 || count_ < config_.max_retries);
    case RestartConfig::Policy::kAlways:
    case RestartConfig::Policy::kUnlessStopped:
      return true;
  }
  return false;
}

std::optional<int64_t> RestartPolicy::next(int exit_code, int64_t ran_ms) {
  if (ended_ || !wants(exit_code)) return std::nullopt;
  if (ran_ms >= kSettledMs) delay_ms_ = 0;
  delay_ms_ = delay_ms_ == 0 ? kFirstDelayMs : std::min(delay_ms_ * 2, kLongestDelayMs);
  count_++;
  return delay_ms_;
}

}  // namespace supervisor
