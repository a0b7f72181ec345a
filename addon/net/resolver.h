// The resolver of one container: the name server at 127.0.0.11, where its resolv.conf points to.
//
// It answers the names of the containers on its networks and passes the rest on to the host's name servers, which it
// reaches from the host's network namespace: one on the host's loopback, as systemd-resolved has it, is one of them.
// Others that the container was given are reached from its own.
//
// Its sockets have another port than 53, and a rule in the container's namespace sends there what goes to port 53 of
// 127.0.0.11: an image with a name server of its own can then bind that port on all addresses, as it could without us.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "net/helper.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// The sockets inside a container's namespace, and the owner of the rule: open for as long as the container has the
// resolver. Who serves them may change.
struct ResolverSockets {
  sys::Fd netns, udp, tcp, rules;
};

// In `netns` the loopback must be up. After a failure nothing remains there.
sys::Result<ResolverSockets> open_resolver(int netns);

struct ResolverConfig {
  struct Network {
    std::string name;
    std::string folder;  // of names: see dns_names.h
  };
  std::vector<Network> networks;                  // in the order in which they are asked
  std::multimap<std::string, std::string> hosts;  // further names (lower case) and their addresses
  bool is_internal = false;                       // the host's servers are not asked
  std::string resolv_conf = "/etc/resolv.conf";   // which those are
  // Asked instead, from the container's own namespace: they are what its programs would reach at these addresses.
  std::vector<std::string> servers;
};

// A helper process serves the sockets. It keeps no privilege, so what it reads must be readable for everybody: the
// folders, which it is given open, with the files in them, and resolv.conf. When its control is closed it takes no more
// questions, and ends within 5 s, when those that it has are answered. The caller reaps the pid.
sys::Result<Helper> start_resolver(const ResolverSockets& sockets, const ResolverConfig& config);

}  // namespace net
