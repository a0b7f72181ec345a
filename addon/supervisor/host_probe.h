// Finding out what this host lets us do, by doing it.
#pragma once

#include <functional>
#include <string>

#include "sys/result.h"

namespace supervisor {

struct Capability {
  bool usable = false;
  std::string reason;  // why not, and the cure where there is one
};

// An overlay with `lower` below and its upper and work folders in `upper_base` (both existing folders) can be mounted,
// and a file of the lower one deleted. Leaves nothing behind.
Capability probe_overlay(const std::string& lower_base, const std::string& upper_base, bool userxattr);

// A process without rights can be root in a user namespace and mount there.
Capability probe_user_namespace();

// The kernel answers nf_tables requests.
Capability probe_nf_tables();

// Runs `attempt` in a child process, whose namespaces and mounts end with it.
sys::Result<void> in_child(const std::function<sys::Result<void>()>& attempt);

}  // namespace supervisor
