// The networks that a container keeps for its supervisor's life: a restart finds its addresses and its ports again.
#pragma once

#include <list>
#include <string>
#include <vector>

#include "net/network.h"
#include "supervisor/config.h"
#include "supervisor/container_resolver.h"
#include "supervisor/loop.h"
#include "supervisor/name_file.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class ContainerNetwork {
 public:
  ContainerNetwork(Loop& loop, const Config& config) : loop_(loop), config_(config), resolver_(loop) {}
  ~ContainerNetwork() { close(); }
  ContainerNetwork(const ContainerNetwork&) = delete;
  ContainerNetwork& operator=(const ContainerNetwork&) = delete;

  // The published ports are bound; nothing is on the host yet besides. Nothing to do the second time.
  sys::Result<void> prepare();
  // The namespace that init made is kept, and is the one that `spec` names from now on.
  void adopt(sys::Fd network, jail::Spec& spec);
  // The namespace is connected, the ports are forwarded, the container's names are told, and it has a resolver for the
  // others'. May run while init sets up its mounts.
  sys::Result<void> connect();
  // The container is called otherwise: where its names are told, the new ones are.
  sys::Result<void> rename();
  // Nothing runs: its names are not told any more, the rest stays.
  void rest();
  // Everything is undone. Idempotent.
  void close();

  [[nodiscard]] bool is_child(pid_t pid) const { return pid == forwarder_.pid || resolver_.is_child(pid); }
  // The ports as they are bound.
  [[nodiscard]] std::vector<net::Port> ports() const;
  // Where the ports lead to, without its prefix length; empty when there is none.
  [[nodiscard]] std::string address() const;

 private:
  // An endpoint that is connected.
  struct Connection {
    Endpoint endpoint;
    net::Attachment attachment;
    NameFile names;
  };

  sys::Result<void> attach(const Endpoint& endpoint, const std::vector<net::Port>& bound);
  sys::Result<void> tell_names();
  sys::Result<void> forward();
  void end_forwarder();

  Loop& loop_;
  const Config& config_;
  sys::Fd namespace_;
  std::list<Connection> connections_;
  std::vector<net::Listener> listeners_;
  net::Helper forwarder_;
  ContainerResolver resolver_;
};

}  // namespace supervisor
