// The ports of the host's loopback that a container reaches: see net/host_ports.h.
#pragma once

#include <vector>

#include "net/host_ports.h"
#include "supervisor/lasting_helper.h"
#include "supervisor/loop.h"
#include "supervisor/network_config.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class ContainerHostPorts {
 public:
  explicit ContainerHostPorts(Loop& loop) : helper_(loop) {}

  // The programs in `netns`, whose loopback is up, reach the configured ports by the gateway of each of its networks.
  // Again: of these networks instead; connections stay.
  sys::Result<void> serve(int netns, const NetworkConfig& network);
  // Nobody gets there any more. Idempotent.
  void close();

  [[nodiscard]] bool is_child(pid_t pid) const { return helper_.is_child(pid); }

 private:
  std::vector<net::Listener> listeners_;
  sys::Fd rules_;
  unsigned turn_ = 0;
  LastingHelper helper_;
};

}  // namespace supervisor
