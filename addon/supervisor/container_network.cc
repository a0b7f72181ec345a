#include "supervisor/container_network.h"

#include <fcntl.h>
#include <sched.h>

#include <algorithm>
#include <utility>

namespace supervisor {

namespace {

constexpr size_t kShortId = 12;

}  // namespace

sys::Result<void> ContainerNetwork::prepare() { return ports_.reserve(config_.network.ports); }

void ContainerNetwork::adopt(sys::Fd network, jail::Spec& spec, std::string address) {
  for (jail::Namespace& entry : spec.namespaces) {
    if (entry.flag == CLONE_NEWNET) entry.path = "/proc/self/fd/" + std::to_string(network.get());
  }
  namespace_ = std::move(network);
  lender_address_ = std::move(address);
}

int ContainerNetwork::lend() {
  if (namespace_) return namespace_.get();
  if (config_.network.mode == NetworkMode::kHost && !host_namespace_) {
    host_namespace_.reset(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  }
  return host_namespace_.get();
}

sys::Result<void> ContainerNetwork::connect() {
  // Without a network there is the loopback alone, which init has brought up.
  if (!namespace_) return {};
  const bool is_first = connections_.empty();
  for (const Endpoint& endpoint : config_.network.endpoints) {
    if (find(endpoint.network) == connections_.end()) SYS_TRY(attach(endpoint, endpoint.link.default_route));
  }
  SYS_TRY(lead_ports());
  if (is_first) SYS_TRY(update_services());
  tells_names_ = true;
  for (Connection& connection : connections_) SYS_TRY(tell_names(connection));
  return {};
}

sys::Result<void> ContainerNetwork::join(const Endpoint& endpoint) {
  if (!namespace_) return {};
  // Which ports can be had again is not known yet.
  SYS_TRY(attach(endpoint, false));
  auto joined = lead_ports();
  if (joined && tells_names_) joined = tell_names(connections_.back());
  if (joined) joined = update_services();
  if (!joined) (void)leave(endpoint.network, nullptr).ok();
  return joined;
}

sys::Result<void> ContainerNetwork::leave(const std::string& network, const Endpoint* heir) {
  const auto found = find(network);
  if (found == connections_.end()) return {};
  SYS_TRY(net::detach(found->endpoint.link, config_.id));
  // From here on there is no way back, and what fails leaves the container without it.
  connections_.erase(found);
  const auto next = heir == nullptr ? connections_.end() : find(heir->network);
  if (next != connections_.end()) {
    next->endpoint.link.default_route = true;
    (void)net::lead_out(next->endpoint.link, namespace_.get()).ok();
  }
  (void)lead_ports().ok();
  return {};
}

sys::Result<void> ContainerNetwork::update_services() {
  if (!namespace_) return {};
  SYS_TRY(resolver_.serve(namespace_.get(), config_.network));
  return host_ports_.serve(namespace_.get(), config_.network);
}

std::list<ContainerNetwork::Connection>::iterator ContainerNetwork::find(const std::string& network) {
  return std::find_if(connections_.begin(), connections_.end(),
                      [&](const Connection& connection) { return connection.endpoint.network == network; });
}

sys::Result<void> ContainerNetwork::attach(const Endpoint& endpoint, bool with_port_rules) {
  auto attached = net::attach(endpoint.link, config_.id, namespace_.get(),
                              with_port_rules ? ports_.reserved() : std::vector<net::Port>());
  if (!attached) return attached.take_failure();
  Connection& connection = connections_.emplace_back();
  connection.endpoint = endpoint;
  connection.attachment = std::move(*attached);
  connection.has_port_rules = with_port_rules;
  return {};
}

// As in Docker it is the network of the default route that ports are published of: others may be internal.
sys::Result<void> ContainerNetwork::lead_ports() {
  for (const Connection& connection : connections_) {
    const net::Config& link = connection.endpoint.link;
    if (link.default_route) return ports_.lead_to(link, config_.id, connection.has_port_rules);
  }
  ports_.lead_nowhere();
  return {};
}

sys::Result<void> ContainerNetwork::tell_names(Connection& connection) {
  const Endpoint& endpoint = connection.endpoint;
  if (endpoint.names.empty()) return {};
  std::vector<std::string> names = {config_.name};
  names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
  names.push_back(config_.id.substr(0, kShortId));
  names.push_back(config_.id);
  SYS_TRY(connection.names.publish(endpoint.names, without_prefix(endpoint.link.address), names));
  if (endpoint.link.address6.empty()) return {};
  return connection.names6.publish(endpoint.names, without_prefix(endpoint.link.address6), names);
}

sys::Result<void> ContainerNetwork::rename() {
  if (!tells_names_) return {};
  for (Connection& connection : connections_) SYS_TRY(tell_names(connection));
  return {};
}

void ContainerNetwork::rest() {
  tells_names_ = false;
  for (Connection& connection : connections_) {
    connection.names.withdraw();
    connection.names6.withdraw();
  }
}

void ContainerNetwork::close() {
  ports_.close();
  resolver_.close();
  host_ports_.close();
  rest();
  for (Connection& connection : connections_) {
    // A link that could not be removed goes with the namespace: the kernel deletes both ends of a veth pair.
    (void)net::detach(connection.endpoint.link, config_.id).ok();
  }
  connections_.clear();
  namespace_.reset();
}

std::string ContainerNetwork::address() const {
  const auto leads_out = [](const Connection& connection) { return connection.endpoint.link.default_route; };
  const auto found = std::find_if(connections_.begin(), connections_.end(), leads_out);
  if (found != connections_.end()) return without_prefix(found->endpoint.link.address);
  return connections_.empty() ? lender_address_ : without_prefix(connections_.front().endpoint.link.address);
}

}  // namespace supervisor
