#include "supervisor/container_host_ports.h"

#include <string>
#include <utility>

namespace supervisor {

sys::Result<void> ContainerHostPorts::serve(int netns, const NetworkConfig& network) {
  if (network.host_ports.empty()) return {};
  if (listeners_.empty()) {
    auto opened = net::open_host_ports(netns, network.host_ports);
    if (!opened) return opened.take_failure();
    listeners_ = std::move(*opened);
    SYS_TRY(helper_.run([this] { return net::start_host_ports(listeners_); }));
  }
  std::vector<std::string> gateways;
  gateways.reserve(network.endpoints.size());
  for (const Endpoint& endpoint : network.endpoints) gateways.push_back(endpoint.link.gateway);
  // Under a name of its own: the old one may stay for a moment longer than our descriptor of it, which whom we have
  // just forked has too.
  auto rules = net::lead_to_host_ports(netns, listeners_, gateways, turn_++);
  if (!rules) return rules.take_failure();
  rules_ = std::move(*rules);
  return {};
}

void ContainerHostPorts::close() {
  helper_.end();
  rules_.reset();
  listeners_.clear();
}

}  // namespace supervisor
