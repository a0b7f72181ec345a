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

struct NewNamespace {
  int fd = -1;
  int failed_errno = 0;
};

// Shares our descriptors: what it opens stays open here. Shares our memory too, and we stand still meanwhile.
int namespace_maker(void* argument) {
  auto& made = *static_cast<NewNamespace*>(argument);
  if (unshare(CLONE_NEWNET) == 0) made.fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  made.failed_errno = errno;
  return 0;
}

// A new network namespace, without entering it: a rootless process could not return to its own, which belongs to a user
// namespace where it has no rights.
sys::Result<sys::Fd> make_network_namespace() {
  alignas(16) static char stack[16384];
  NewNamespace made;
  const pid_t pid = clone(namespace_maker, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &made);
  if (pid < 0) return sys::errno_error("clone");
  while (waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  if (made.fd < 0) return sys::errno_error("unshare network namespace", {}, made.failed_errno);
  return sys::Fd(made.fd);
}

}  // namespace

sys::Result<void> ContainerNetwork::prepare(jail::Spec& spec) {
  if (config_.network_mode == NetworkMode::kBridge && listeners_.empty() && !config_.network.ports.empty()) {
    auto bound = net::bind_ports(config_.network.ports);
    if (!bound) return bound.take_failure();
    listeners_ = std::move(*bound);
  }
  for (jail::Namespace& entry : spec.namespaces) {
    // One with a path is somebody else's, and only entered.
    if (entry.flag != CLONE_NEWNET || !entry.path.empty()) continue;
    auto made = make_network_namespace();
    if (!made) return made.take_failure();
    namespace_ = std::move(*made);
    entry.path = "/proc/self/fd/" + std::to_string(namespace_.get());
  }
  return {};
}

sys::Result<void> ContainerNetwork::connect() {
  if (connected_ || !namespace_) return {};
  if (config_.network_mode == NetworkMode::kBridge) {
    auto attached = net::attach(config_.network, config_.id, namespace_.get());
    if (!attached) return attached.take_failure();
    attachment_ = std::move(*attached);
    connected_ = true;
    return forward();
  }
  SYS_TRY(net::bring_up_loopback(namespace_.get()));
  connected_ = true;
  return {};
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
  if (connected_ && config_.network_mode == NetworkMode::kBridge) {
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
