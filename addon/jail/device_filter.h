// Which devices a cgroup's processes may open or make: the v1 devices controller, or on v2 a BPF program.
#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "jail/spec.h"
#include "sys/result.h"

namespace jail {

// "c 1:3 rwm" for devices.allow and devices.deny.
std::string v1_device_rule(const DeviceRule& rule);

// A BPF_PROG_TYPE_CGROUP_DEVICE program with the meaning of the list: the last rule that speaks of a device decides, a
// device that none speaks of is denied.
std::vector<bpf_insn> device_program(const std::vector<DeviceRule>& rules);

// The rules are in force for the v2 cgroup `folder` and its descendants, as long as it exists.
sys::Result<void> attach_device_filter(int folder, const std::vector<DeviceRule>& rules);

}  // namespace jail
