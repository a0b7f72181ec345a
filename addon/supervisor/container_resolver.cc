#include "supervisor/container_resolver.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "supervisor/clock.h"

namespace supervisor {
namespace {

// Between two starts: what dies as soon as it runs shall not keep the machine busy.
constexpr int64_t kRestMs = 1000;

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
  config_ = config_of(network);
  end();
  return start();
}

sys::Result<void> ContainerResolver::start() {
  auto started = net::start_resolver(*sockets_, config_);
  if (!started) return started.take_failure();
  helper_ = std::move(*started);
  started_ms_ = monotonic_ms();
  // It says nothing: whatever comes is its end.
  return loop_.watch(helper_.control.get(), EPOLLIN, [this](uint32_t) { start_again(); });
}

// Questions that come meanwhile wait in the sockets.
void ContainerResolver::start_again() {
  end();
  const int64_t rest = std::max<int64_t>(started_ms_ + kRestMs - monotonic_ms(), 0);
  again_ = loop_.after(rest, [this] {
    again_ = 0;
    if (!start()) {
      started_ms_ = monotonic_ms();
      start_again();
    }
  });
}

void ContainerResolver::end() {
  loop_.cancel(again_);
  if (helper_.control) loop_.forget(helper_.control.get());
  helper_.control.reset();
  if (helper_.pid < 0) return;
  kill(helper_.pid, SIGKILL);
  while (waitpid(helper_.pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  helper_.pid = -1;
}

void ContainerResolver::close() {
  end();
  sockets_.reset();
}

}  // namespace supervisor
