// Ports of the host's loopback that one container reaches, by the addresses at which it knows the host.
//
// The connections are taken inside the container's namespace (inside.h) and led on by a forwarder on the host: the
// host's loopback is open to this container alone and to nothing else of it, nothing listens on the host, and no
// firewall there has a say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/helper.h"
#include "net/network.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// As many as are set aside inside a container; lib/run/host-ports-option.ts says the same.
inline constexpr std::size_t kMaxHostPorts = 64;

// One listener for each of the TCP ports, in `netns`, where the loopback must be up.
sys::Result<std::vector<Listener>> open_host_ports(int netns, const std::vector<std::uint16_t>& ports);

// What the programs in `netns` send to those ports of the `gateways` (IPv4 addresses) comes to the listeners, while the
// descriptor is open. `turn` is another one for what takes its place, which comes before it goes.
sys::Result<sys::Fd> lead_to_host_ports(int netns, const std::vector<Listener>& listeners,
                                        const std::vector<std::string>& gateways, unsigned turn);

// A helper process connects what comes to the listeners to 127.0.0.1 of the present namespace, the host's. The caller
// reaps the pid.
sys::Result<Helper> start_host_ports(const std::vector<Listener>& listeners);

}  // namespace net
