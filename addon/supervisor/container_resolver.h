// The name server of a container that is on networks with names: see net/resolver.h.
#pragma once

#include <optional>

#include "net/resolver.h"
#include "supervisor/lasting_helper.h"
#include "supervisor/loop.h"
#include "supervisor/network_config.h"
#include "sys/result.h"

namespace supervisor {

class ContainerResolver {
 public:
  explicit ContainerResolver(Loop& loop) : helper_(loop) {}

  // The programs in `netns`, whose loopback is up, have a resolver that knows the names of these networks, if they are
  // to have one. Again: those it had are forgotten, and its sockets stay.
  sys::Result<void> serve(int netns, const NetworkConfig& network);
  // Nobody answers any more. Idempotent.
  void close();

  [[nodiscard]] bool is_child(pid_t pid) const { return helper_.is_child(pid); }

 private:
  std::optional<net::ResolverSockets> sockets_;
  LastingHelper helper_;
};

}  // namespace supervisor
