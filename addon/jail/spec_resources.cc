#include "jail/spec_resources.h"

#include <limits>

namespace jail {
namespace {

using sys::Json;
using sys::JsonReader;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::optional<uint64_t> natural(JsonReader& reader, const Json* object, const char* name) {
  const auto value = reader.integer(object, name, 0, kMax);
  if (!value) return std::nullopt;
  return static_cast<uint64_t>(*value);
}

std::vector<Throttle> read_throttles(JsonReader& reader, const Json* block, const char* name) {
  std::vector<Throttle> result;
  const Json* list = reader.array(block, name);
  if (list == nullptr) return result;
  for (const Json& item : list->GetArray()) {
    Throttle throttle;
    throttle.major = static_cast<unsigned>(reader.integer(&item, "major", 0, 0xfff).value_or(0));
    throttle.minor = static_cast<unsigned>(reader.integer(&item, "minor", 0, 0xfffff).value_or(0));
    throttle.rate = natural(reader, &item, "rate").value_or(0);
    result.push_back(throttle);
  }
  return result;
}

void read_rules(JsonReader& reader, const Json* resources, Resources& result) {
  const Json* list = reader.array(resources, "devices");
  if (list == nullptr) return;
  for (const Json& item : list->GetArray()) {
    DeviceRule rule;
    rule.allow = reader.flag(&item, "allow");
    const std::string type = reader.text(&item, "type", "a");
    const std::string access = reader.text(&item, "access", "rwm");
    if ((type != "a" && type != "b" && type != "c") || access.empty() ||
        access.find_first_not_of("rwm") != std::string::npos) {
      reader.fail("linux.resources.devices: type must be a, b or c and access of r, w, m");
      return;
    }
    rule.type = type[0];
    rule.major = reader.integer(&item, "major", -1, 0xffffffff).value_or(-1);
    rule.minor = reader.integer(&item, "minor", -1, 0xffffffff).value_or(-1);
    rule.read = access.find('r') != std::string::npos;
    rule.write = access.find('w') != std::string::npos;
    rule.mknod = access.find('m') != std::string::npos;
    result.devices.push_back(rule);
  }
}

}  // namespace

void read_resources(JsonReader& reader, const Json* resources, Resources& result) {
  const Json* memory = reader.object(resources, "memory");
  result.memory_limit = reader.integer(memory, "limit", -1, kMax);
  result.memory_reservation = reader.integer(memory, "reservation", -1, kMax);
  result.memory_swap = reader.integer(memory, "swap", -1, kMax);

  const Json* cpu = reader.object(resources, "cpu");
  result.cpu_shares = natural(reader, cpu, "shares");
  result.cpu_quota = reader.integer(cpu, "quota", -1, kMax);
  result.cpu_period = natural(reader, cpu, "period");
  result.cpuset_cpus = reader.text(cpu, "cpus");
  result.cpuset_mems = reader.text(cpu, "mems");

  result.pids_limit = reader.integer(reader.object(resources, "pids"), "limit", -1, kMax);

  const Json* block = reader.object(resources, "blockIO");
  if (const auto weight = reader.integer(block, "weight", 10, 1000)) result.io_weight = static_cast<uint16_t>(*weight);
  result.read_bps = read_throttles(reader, block, "throttleReadBpsDevice");
  result.write_bps = read_throttles(reader, block, "throttleWriteBpsDevice");
  result.read_iops = read_throttles(reader, block, "throttleReadIOPSDevice");
  result.write_iops = read_throttles(reader, block, "throttleWriteIOPSDevice");

  if (const Json* unified = reader.object(resources, "unified")) {
    for (const auto& entry : unified->GetObject()) {
      const std::string name(entry.name.GetString(), entry.name.GetStringLength());
      // A file of the cgroup itself, never a path out of it.
      if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos ||
          name[0] == '.') {
        reader.fail("linux.resources.unified: bad file name");
        return;
      }
      result.unified.emplace_back(name, reader.text(unified, name.c_str()));
    }
  }
  read_rules(reader, resources, result);
}

}  // namespace jail
