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

sys::Result<void> ContainerNetwork::prepare() {
  if (config_.network_mode != NetworkMode::kBridge || !listeners_.empty() || config_.network.ports.empty()) return {};
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
  // Without a bridge there is the loopback alone, which init has brought up.
  if (connected_ || !namespace_ || config_.network_mode != NetworkMode::kBridge) return {};
  auto attached = net::attach(config_.network, config_.id, namespace_.get());
  if (!attached) return attached.take_failure();
  attachment_ = std::move(*attached);
  connected_ = true;
  return forward();
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
  if (connected_) {
    // A link that could not be removed goes with the namespace: the kernel deletes both ends of a veth pair.
    (void)net::detach(config_.network, config_.id).ok();
  }
  attachment_ = {};
  connected_ = false;
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
  if (config_.network_mode != NetworkMode::kBridge) return {};
  return config_.network.address.substr(0, config_.network.address.find('/'));
}

}  // namespace supervisor
