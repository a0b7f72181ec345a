// Limits as the lines that are written to a cgroup's files.
#pragma once

#include <string>
#include <vector>

#include "jail/spec.h"

namespace jail {

struct Knob {
  std::string controller;
  std::string file;
  std::string value;
  bool optional = false;  // the kernel may lack the file (swap accounting off) without the limit being lost
};

// The files of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst) for what `resources` asks, in the order to write
// them.
std::vector<Knob> v2_knobs(const Resources& resources);
// The files of cgroup v1 (Documentation/admin-guide/cgroup-v1).
std::vector<Knob> v1_knobs(const Resources& resources);

// The controllers that the limits asked for need, by their v2 names.
std::vector<std::string> needed_controllers(const Resources& resources);

// cpu.weight (1 to 10000) of v1 shares (2 to 262144), by the mapping that systemd and OCI runtimes use.
uint64_t weight_of_shares(uint64_t shares);

}  // namespace jail
