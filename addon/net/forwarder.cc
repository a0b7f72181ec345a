// The forwarder's process: what it is given, how it shares that out.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "net/address.h"
#include "net/event_loop.h"
#include "net/helper.h"
#include "net/network.h"
#include "net/tcp_forward.h"
#include "net/udp_forward.h"

namespace net {
namespace {

constexpr int kExitSetup = 1;

// How the descriptors that the process may have are shared out.
struct Budget {
  std::size_t connections, sessions, pipes;
};

Budget take_descriptors(std::size_t listeners) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = limit.rlim_max = 1024;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  std::size_t all = std::min<rlim_t>(limit.rlim_max, 65536);
  std::size_t free = all - std::min(all, 16 + 2 * listeners);
  // Of 20,000: 4,000 connections of two sockets each, 1,000 UDP clients, and pipes for 5,400 of the connections' 8,000
  // directions.
  Budget budget{all / 5, all / 20, 0};
  std::size_t used = budget.connections * 2 + budget.sessions;
  budget.pipes = free > used ? (free - used) / 2 : 1;
  return budget;
}

}  // namespace

sys::Result<Helper> start_forwarder(const std::vector<Listener>& listeners, std::string_view address) {
  if (!parse_address(address)) return sys::error("start forwarder", "not an address: " + std::string(address), EINVAL);
  std::vector<int> fds;
  fds.reserve(listeners.size());
  for (const Listener& listener : listeners) fds.push_back(listener.fd.get());
  return start_helper("dinghy-forward", fds, [&] {
    std::vector<Listener> kept;
    kept.reserve(listeners.size());
    for (const Listener& listener : listeners) {
      kept.push_back({sys::Fd(kFirstKept + static_cast<int>(kept.size())), listener.port});
    }
    return forward_mode(kept, address, kControl);
  });
}

int forward_mode(const std::vector<Listener>& listeners, std::string_view address, int control) {
  auto target = parse_address(address);
  auto loop = EventLoop::create();
  if (!target || !loop) return kExitSetup;
  Budget budget = take_descriptors(listeners.size());
  TcpForward tcp(*loop, budget.connections, budget.pipes, control);
  UdpForward udp(*loop, budget.sessions);
  for (const Listener& listener : listeners) {
    sockaddr_in container{};
    container.sin_family = AF_INET;
    container.sin_addr.s_addr = *target;
    container.sin_port = htons(listener.port.container_port);
    sys::Fd copy(fcntl(listener.fd.get(), F_DUPFD_CLOEXEC, 0));
    auto added = listener.port.protocol == Protocol::kTcp ? tcp.add(std::move(copy), container)
                                                          : udp.add(std::move(copy), container);
    if (!added) return kExitSetup;
  }
  ControlTarget over;
  if (!loop->watch(control, EPOLLIN | EPOLLRDHUP, over)) return kExitSetup;
  while (!over.is_over) {
    int tcp_wait = tcp.settle();
    int udp_wait = udp.settle();
    // -1 is for ever: as unsigned the largest.
    int wait = static_cast<int>(std::min(static_cast<unsigned>(tcp_wait), static_cast<unsigned>(udp_wait)));
    if (!loop->turn(wait)) return kExitSetup;
  }
  return 0;
}

}  // namespace net
