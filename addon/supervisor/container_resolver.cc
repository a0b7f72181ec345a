#include "supervisor/container_resolver.h"

#include <algorithm>
#include <utility>

namespace supervisor {
namespace {

net::ResolverConfig config_of(const NetworkConfig& network) {
  net::ResolverConfig config;
  config.is_internal = true;
  config.servers = network.dns;
  for (const Endpoint& endpoint : network.endpoints) {
    if (!endpoint.names.empty()) config.networks.push_back({endpoint.network, endpoint.names});
    config.is_internal = config.is_internal && endpoint.link.internal;
  }
  if (network.endpoints.empty()) return config;
  const auto outward = std::find_if(network.endpoints.begin(), network.endpoints.end(),
                                    [](const Endpoint& endpoint) { return endpoint.link.default_route; });
  const Endpoint& way = outward == network.endpoints.end() ? network.endpoints.front() : *outward;
  for (const char* name : {"host.dinghy.internal", "host.docker.internal"}) {
    config.hosts.emplace(name, way.link.gateway);
  }
  return config;
}

}  // namespace

sys::Result<void> ContainerResolver::serve(int netns, const NetworkConfig& network) {
  if (!has_resolver(network)) {
    close();
    return {};
  }
  if (!sockets_) {
    auto opened = net::open_resolver(netns);
    if (!opened) return opened.take_failure();
    sockets_ = std::move(*opened);
  }
  return helper_.run([this, config = config_of(network)] { return net::start_resolver(*sockets_, config); });
}

void ContainerResolver::close() {
  helper_.end();
  sockets_.reset();
}

}  // namespace supervisor
