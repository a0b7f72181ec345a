#include "jail/cgroup_limits.h"

#include <algorithm>

namespace jail {
namespace {

constexpr uint64_t kDefaultPeriod = 100000;  // microseconds

std::string amount(int64_t value) { return value < 0 ? "max" : std::to_string(value); }

std::string device_of(const Throttle& throttle) {
  return std::to_string(throttle.major) + ":" + std::to_string(throttle.minor);
}

void throttle_v2(std::vector<Knob>& knobs, const std::vector<Throttle>& list, const char* key) {
  for (const Throttle& throttle : list) {
    const std::string rate = throttle.rate == 0 ? "max" : std::to_string(throttle.rate);
    knobs.push_back({"io", "io.max", device_of(throttle) + " " + key + "=" + rate});
  }
}

void throttle_v1(std::vector<Knob>& knobs, const std::vector<Throttle>& list, const char* file) {
  for (const Throttle& throttle : list) {
    knobs.push_back({"io", file, device_of(throttle) + " " + std::to_string(throttle.rate)});
  }
}

}  // namespace

uint64_t weight_of_shares(uint64_t shares) {
  const uint64_t bounded = std::clamp<uint64_t>(shares, 2, 262144);
  return 1 + (bounded - 2) * 9999 / 262142;
}

std::vector<Knob> v2_knobs(const Resources& resources) {
  std::vector<Knob> knobs;
  if (resources.memory_limit) knobs.push_back({"memory", "memory.max", amount(*resources.memory_limit)});
  if (resources.memory_reservation) knobs.push_back({"memory", "memory.low", amount(*resources.memory_reservation)});
  if (resources.memory_swap) {
    // OCI counts memory and swap together, v2 the swap alone.
    const int64_t limit = resources.memory_limit.value_or(-1);
    const bool unlimited = *resources.memory_swap < 0 || limit < 0;
    const int64_t swap = unlimited ? -1 : std::max<int64_t>(0, *resources.memory_swap - limit);
    knobs.push_back({"memory", "memory.swap.max", amount(swap), true});
  }
  if (resources.cpu_shares)
    knobs.push_back({"cpu", "cpu.weight", std::to_string(weight_of_shares(*resources.cpu_shares))});
  if (resources.cpu_quota || resources.cpu_period) {
    const std::string period = std::to_string(resources.cpu_period.value_or(kDefaultPeriod));
    const int64_t quota = resources.cpu_quota.value_or(-1);
    knobs.push_back({"cpu", "cpu.max", (quota <= 0 ? "max" : std::to_string(quota)) + " " + period});
  }
  if (!resources.cpuset_cpus.empty()) knobs.push_back({"cpuset", "cpuset.cpus", resources.cpuset_cpus});
  if (!resources.cpuset_mems.empty()) knobs.push_back({"cpuset", "cpuset.mems", resources.cpuset_mems});
  if (resources.pids_limit) {
    // 0 and below mean "no limit" to Docker and to OCI runtimes.
    knobs.push_back({"pids", "pids.max", *resources.pids_limit <= 0 ? "max" : std::to_string(*resources.pids_limit)});
  }
  if (resources.io_weight) {
    // The blkio scale of 10 to 1000 onto 1 to 10000.
    const uint64_t weight = 1 + (static_cast<uint64_t>(*resources.io_weight) - 10) * 9999 / 990;
    knobs.push_back({"io", "io.weight", std::to_string(weight), true});
  }
  throttle_v2(knobs, resources.read_bps, "rbps");
  throttle_v2(knobs, resources.write_bps, "wbps");
  throttle_v2(knobs, resources.read_iops, "riops");
  throttle_v2(knobs, resources.write_iops, "wiops");
  for (const auto& [file, value] : resources.unified) {
    knobs.push_back({file.substr(0, file.find('.')), file, value});
  }
  return knobs;
}

std::vector<Knob> v1_knobs(const Resources& resources) {
  std::vector<Knob> knobs;
  if (resources.memory_limit) {
    knobs.push_back({"memory", "memory.limit_in_bytes", std::to_string(*resources.memory_limit)});
  }
  if (resources.memory_swap) {
    // Never below limit_in_bytes, so it comes second; when both are lowered update() writes it first.
    knobs.push_back({"memory", "memory.memsw.limit_in_bytes", std::to_string(*resources.memory_swap), true});
  }
  if (resources.memory_reservation) {
    knobs.push_back({"memory", "memory.soft_limit_in_bytes", std::to_string(*resources.memory_reservation)});
  }
  if (resources.cpu_shares) knobs.push_back({"cpu", "cpu.shares", std::to_string(*resources.cpu_shares)});
  if (resources.cpu_period) knobs.push_back({"cpu", "cpu.cfs_period_us", std::to_string(*resources.cpu_period)});
  if (resources.cpu_quota) knobs.push_back({"cpu", "cpu.cfs_quota_us", std::to_string(*resources.cpu_quota)});
  if (!resources.cpuset_cpus.empty()) knobs.push_back({"cpuset", "cpuset.cpus", resources.cpuset_cpus});
  if (!resources.cpuset_mems.empty()) knobs.push_back({"cpuset", "cpuset.mems", resources.cpuset_mems});
  if (resources.pids_limit) {
    knobs.push_back({"pids", "pids.max", *resources.pids_limit <= 0 ? "max" : std::to_string(*resources.pids_limit)});
  }
  if (resources.io_weight) knobs.push_back({"io", "blkio.bfq.weight", std::to_string(*resources.io_weight), true});
  throttle_v1(knobs, resources.read_bps, "blkio.throttle.read_bps_device");
  throttle_v1(knobs, resources.write_bps, "blkio.throttle.write_bps_device");
  throttle_v1(knobs, resources.read_iops, "blkio.throttle.read_iops_device");
  throttle_v1(knobs, resources.write_iops, "blkio.throttle.write_iops_device");
  return knobs;
}

std::vector<std::string> needed_controllers(const Resources& resources) {
  std::vector<std::string> needed;
  for (const Knob& knob : v2_knobs(resources)) {
    if (knob.controller != "cgroup" && std::find(needed.begin(), needed.end(), knob.controller) == needed.end()) {
      needed.push_back(knob.controller);
    }
  }
  return needed;
}

}  // namespace jail
