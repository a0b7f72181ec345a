// The networks that a container keeps for its supervisor's life: a restart finds its addresses and its ports again.
#pragma once

#include <list>
#include <string>
#include <vector>

#include "net/network.h"
#include "supervisor/config.h"
#include "supervisor/container_host_ports.h"
#include "supervisor/container_resolver.h"
#include "supervisor/loop.h"
#include "supervisor/name_file.h"
#include "supervisor/published_ports.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class ContainerNetwork {
 public:
  ContainerNetwork(Loop& loop, const Config& config)
      : config_(config), ports_(loop), resolver_(loop), host_ports_(loop) {}
  ~ContainerNetwork() { close(); }
  ContainerNetwork(const ContainerNetwork&) = delete;
  ContainerNetwork& operator=(const ContainerNetwork&) = delete;

  // The published ports are bound; nothing is on the host yet besides. Nothing to do the second time.
  sys::Result<void> prepare();
  // The namespace, which init made or another container lends, is kept, and is the one that `spec` names from now on.
  // `address`: of the lender.
  void adopt(sys::Fd network, jail::Spec& spec, std::string address = {});
  // A descriptor of it, the host's where it has that; -1 when there is none yet.
  int lend();
  // The namespace is connected, the ports are forwarded, the container's names are told, it has a resolver for the
  // others', and reaches the ports of the host that it was given. May run while init sets up its mounts.
  sys::Result<void> connect();
  // One more network, which the configuration has already: at once where the namespace is there, else by the next
  // connect(). After a failure it is not.
  sys::Result<void> join(const Endpoint& endpoint);
  // That network no more, and what has no other way leaves by `heir`'s, if one is given. Nothing to do where it is not
  // connected. After a failure it still is.
  sys::Result<void> leave(const std::string& network, const Endpoint* heir);
  // Its resolver knows the names of the networks that the configuration has now, and the host's ports are reached by
  // their gateways.
  sys::Result<void> update_services();
  // The container is called otherwise: where its names are told, the new ones are.
  sys::Result<void> rename();
  // Nothing runs: its names are not told any more, the rest stays.
  void rest();
  // Everything is undone. Idempotent.
  void close();

  [[nodiscard]] bool is_child(pid_t pid) const {
    return ports_.is_child(pid) || resolver_.is_child(pid) || host_ports_.is_child(pid);
  }
  // The ports as they are bound; none while they lead nowhere.
  [[nodiscard]] std::vector<net::Port> ports() const { return ports_.open(); }
  // Where it is reached, and the ports lead to, without its prefix length; empty when there is none.
  [[nodiscard]] std::string address() const;

 private:
  // An endpoint that is connected.
  struct Connection {
    Endpoint endpoint;
    net::Attachment attachment;
    NameFile names;
    NameFile names6;
    bool has_port_rules = false;
  };

  std::list<Connection>::iterator find(const std::string& network);
  sys::Result<void> attach(const Endpoint& endpoint, bool with_port_rules);
  sys::Result<void> lead_ports();
  sys::Result<void> tell_names(Connection& connection);

  const Config& config_;
  sys::Fd namespace_;
  sys::Fd host_namespace_;
  std::string lender_address_;
  std::list<Connection> connections_;
  bool tells_names_ = false;
  PublishedPorts ports_;
  ContainerResolver resolver_;
  ContainerHostPorts host_ports_;
};

}  // namespace supervisor
