#include "supervisor/published_ports.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "supervisor/network_config.h"

namespace supervisor {

sys::Result<void> PublishedPorts::reserve(const std::vector<net::Port>& wanted) {
  if (!listeners_.empty() || wanted.empty()) return {};
  auto bound = net::bind_ports(wanted);
  if (!bound) return bound.take_failure();
  wanted_ = wanted;
  listeners_ = std::move(*bound);
  return {};
}

sys::Result<void> PublishedPorts::lead_to(const net::Config& link, const std::string& id, bool has_rules) {
  const std::string address = without_prefix(link.address);
  if (listeners_.empty() || target_ == address) return {};
  end_forwarder();
  rules_.reset();
  auto result = listen_again(has_rules);
  if (result && !has_rules) {
    auto rules = net::add_port_rules(link, id, reserved());
    result = rules ? sys::Result<void>() : sys::Result<void>(rules.take_failure());
    if (result) rules_ = std::move(*rules);
  }
  if (result) result = start_forwarder(address);
  if (!result) {
    lead_nowhere();
    return result;
  }
  target_ = address;
  return {};
}

// Of those that lead nowhere the numbers are anybody's. Whoever asked for any free one gets another if that is taken.
sys::Result<void> PublishedPorts::listen_again(bool same_numbers) {
  if (listeners_.front().fd) return {};
  auto bound = net::bind_ports(reserved());
  if (!bound && !same_numbers) bound = net::bind_ports(wanted_);
  if (!bound) return bound.take_failure();
  listeners_ = std::move(*bound);
  return {};
}

sys::Result<void> PublishedPorts::start_forwarder(const std::string& address) {
  auto started = net::start_forwarder(listeners_, address);
  if (!started) return started.take_failure();
  forwarder_ = std::move(*started);
  const int control = forwarder_.control.get();
  return loop_.watch(control, EPOLLIN, [this, control](uint32_t events) {
    char news[64];
    const ssize_t size = (events & EPOLLIN) != 0 ? read(control, news, sizeof news) : 0;
    // Killed: nobody would ever accept a connection.
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) lead_nowhere();
  });
}

void PublishedPorts::end_forwarder() {
  target_.clear();
  if (!forwarder_.control) return;
  loop_.forget(forwarder_.control.get());
  forwarder_.control.reset();
  kill(forwarder_.pid, SIGKILL);
  while (waitpid(forwarder_.pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  forwarder_.pid = -1;
}

void PublishedPorts::lead_nowhere() {
  end_forwarder();
  rules_.reset();
  for (net::Listener& listener : listeners_) listener.fd.reset();
}

void PublishedPorts::close() {
  lead_nowhere();
  listeners_.clear();
}

std::vector<net::Port> PublishedPorts::reserved() const {
  std::vector<net::Port> ports;
  ports.reserve(listeners_.size());
  for (const net::Listener& listener : listeners_) ports.push_back(listener.port);
  return ports;
}

std::vector<net::Port> PublishedPorts::open() const { return target_.empty() ? std::vector<net::Port>() : reserved(); }

}  // namespace supervisor
