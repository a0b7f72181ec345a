// The name server of a container that is on networks with names: see net/resolver.h.
#pragma once

#include <cstdint>
#include <optional>

#include "net/resolver.h"
#include "supervisor/loop.h"
#include "supervisor/network_config.h"
#include "sys/result.h"

namespace supervisor {

class ContainerResolver {
 public:
  explicit ContainerResolver(Loop& loop) : loop_(loop) {}
  ~ContainerResolver() { close(); }
  ContainerResolver(const ContainerResolver&) = delete;
  ContainerResolver& operator=(const ContainerResolver&) = delete;

  // The programs in `netns`, whose loopback is up, have a resolver that knows the names of these networks, if they are
  // to have one. Again: those it had are forgotten, and its sockets stay. A resolver that dies is
  // followed by another.
  sys::Result<void> serve(int netns, const NetworkConfig& network);
  // Nobody answers any more. Idempotent.
  void close();

  [[nodiscard]] bool is_child(pid_t pid) const { return helper_.pid > 0 && pid == helper_.pid; }

 private:
  sys::Result<void> start();
  void end();
  void start_again();

  Loop& loop_;
  net::ResolverConfig config_;
  std::optional<net::ResolverSockets> sockets_;
  net::Helper helper_;
  int64_t started_ms_ = 0;
  Loop::Timer again_ = 0;
};

}  // namespace supervisor
