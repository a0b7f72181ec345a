#include "supervisor/container_network.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace supervisor {

namespace {

constexpr size_t kShortId = 12;

std::string without_prefix(const std::string& cidr) { return cidr.substr(0, cidr.find('/')); }

}  // namespace

sys::Result<void> ContainerNetwork::prepare() {
  if (!listeners_.empty() || config_.network.ports.empty()) return {};
  auto bound = net::bind_ports(config_.network.ports);
  if (!bound) return bound.take_failure();
  listeners_ = std::move(*bound);
  return {};
}

void ContainerNetwork::adopt(sys::Fd network, jail::Spec& spec) {
  for (jail::Namespace& entry : spec.namespaces) {
    if (entry.flag == CLONE_NEWNET) entry.path = "/proc/self/fd/" + std::to_string(network.get());
  }
  namespace_ = std::move(network);
}

sys::Result<void> ContainerNetwork::connect() {
  // Without a network there is the loopback alone, which init has brought up.
  if (!namespace_) return {};
  const bool is_first = connections_.empty() && !config_.network.endpoints.empty();
  if (is_first) {
    for (const Endpoint& endpoint : config_.network.endpoints) {
      // The first one's address is the one that ports are published of.
      SYS_TRY(attach(endpoint, connections_.empty() ? ports() : std::vector<net::Port>()));
    }
    SYS_TRY(forward());
    SYS_TRY(resolver_.serve(namespace_.get(), config_.network));
  }
  return tell_names();
}

sys::Result<void> ContainerNetwork::attach(const Endpoint& endpoint, const std::vector<net::Port>& bound) {
  auto attached = net::attach(endpoint.link, config_.id, namespace_.get(), bound);
  if (!attached) return attached.take_failure();
  Connection& connection = connections_.emplace_back();
  connection.endpoint = endpoint;
  connection.attachment = std::move(*attached);
  return {};
}

sys::Result<void> ContainerNetwork::tell_names() {
  for (Connection& connection : connections_) {
    const Endpoint& endpoint = connection.endpoint;
    if (endpoint.names.empty()) continue;
    std::vector<std::string> names = {config_.name};
    names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
    names.push_back(config_.id.substr(0, kShortId));
    names.push_back(config_.id);
    SYS_TRY(connection.names.publish(endpoint.names, without_prefix(endpoint.link.address), names));
  }
  return {};
}

sys::Result<void> ContainerNetwork::rename() {
  const bool told = std::any_of(connections_.begin(), connections_.end(),
                                [](const Connection& connection) { return connection.names.is_told(); });
  return told ? tell_names() : sys::Result<void>();
}

void ContainerNetwork::rest() {
  for (Connection& connection : connections_) connection.names.withdraw();
}

sys::Result<void> ContainerNetwork::forward() {
  if (listeners_.empty()) return {};
  auto started = net::start_forwarder(listeners_, address());
  if (!started) return started.take_failure();
  forwarder_ = std::move(*started);
  // The forwarder has the sockets now. Which numbers they have is still to be told.
  for (net::Listener& listener : listeners_) listener.fd.reset();
  const int control = forwarder_.control.get();
  return loop_.watch(control, EPOLLIN, [this, control](uint32_t events) {
    char news[64];
    const ssize_t size = (events & EPOLLIN) != 0 ? read(control, news, sizeof news) : 0;
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) end_forwarder();
  });
}

void ContainerNetwork::end_forwarder() {
  if (!forwarder_.control) return;
  loop_.forget(forwarder_.control.get());
  forwarder_.control.reset();
  kill(forwarder_.pid, SIGKILL);
  while (waitpid(forwarder_.pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  forwarder_.pid = -1;
}

void ContainerNetwork::close() {
  end_forwarder();
  resolver_.close();
  rest();
  for (Connection& connection : connections_) {
    // A link that could not be removed goes with the namespace: the kernel deletes both ends of a veth pair.
    (void)net::detach(connection.endpoint.link, config_.id).ok();
  }
  connections_.clear();
  namespace_.reset();
  listeners_.clear();
}

std::vector<net::Port> ContainerNetwork::ports() const {
  std::vector<net::Port> ports;
  ports.reserve(listeners_.size());
  for (const net::Listener& listener : listeners_) ports.push_back(listener.port);
  return ports;
}

std::string ContainerNetwork::address() const {
  return connections_.empty() ? "" : without_prefix(connections_.front().endpoint.link.address);
}

}  // namespace supervisor
