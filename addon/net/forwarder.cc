// The forwarder's process: what it is given, what it gives up, how it ends.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/address.h"
#include "net/event_loop.h"
#include "net/network.h"
#include "net/tcp_forward.h"
#include "net/udp_forward.h"
#include "sys/kernel.h"

namespace net {
namespace {

constexpr int kExitSetup = 1;
constexpr uid_t kNobody = 65534;
constexpr int kFirstListener = 4;  // 0, 1, 2 are /dev/null, 3 is control: as in every mode

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

sys::Result<void> drop_privileges() {
  // A privileged descriptor, core file or ptrace is nothing that a process which talks to strangers should offer.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::errno_error("no_new_privs");
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    (void)prctl(PR_CAPBSET_DROP, capability, 0, 0,
                0);  // EPERM without CAP_SETPCAP: then there is nothing to inherit either
  }
  // In a user namespace without that id (EINVAL) the own id is as powerless on the host as nobody's.
  if (geteuid() == 0) {
    if (setgroups(0, nullptr) != 0 && errno != EPERM) return sys::errno_error("setgroups");
    if (setresgid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) return sys::errno_error("setresgid");
    if (setresuid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) return sys::errno_error("setresuid");
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  if (syscall(SYS_capset, &header, none.data()) != 0) return sys::errno_error("capset");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return sys::errno_error("PR_SET_DUMPABLE");
  return {};
}

void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < 32; number++) (void)sigaction(number, &action, nullptr);
  action.sa_handler = SIG_IGN;  // splice(2) into a closed socket
  (void)sigaction(SIGPIPE, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Leaves open exactly: /dev/null as 0, 1, 2, control as 3, the listeners from 4 on, in order. The caller's lock above
// all must not stay: a copy of it would make the container look alive.
sys::Result<void> keep_only(int control, const std::vector<int>& listeners) {
  // First out of the way of the numbers they shall have.
  int base = kFirstListener + static_cast<int>(listeners.size());
  std::vector<int> moved{fcntl(control, F_DUPFD_CLOEXEC, base)};
  for (int listener : listeners) moved.push_back(fcntl(listener, F_DUPFD_CLOEXEC, base));
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return sys::errno_error("open", "/dev/null");
  for (int fd = 0; fd < 3; fd++) {
    if (dup2(null, fd) < 0) return sys::errno_error("dup2");
  }
  for (std::size_t i = 0; i < moved.size(); i++) {
    if (moved[i] < 0 || dup2(moved[i], 3 + static_cast<int>(i)) < 0) return sys::errno_error("dup2");
  }
  if (sys::close_range(static_cast<unsigned>(base), ~0U, 0) != 0) return sys::errno_error("close_range");
  return {};
}

[[noreturn]] void run_child(pid_t parent, const std::vector<Port>& ports, const std::vector<int>& fds,
                            std::string_view address, int control) {
  (void)prctl(PR_SET_NAME, "dinghy-forward", 0, 0, 0);
  reset_signals();
  if (!keep_only(control, fds) || chdir("/") != 0 || !drop_privileges()) _exit(kExitSetup);
  // After the change of ids, which clears it. The parent may have died before: then nobody would ever tell us.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) _exit(kExitSetup);
  std::vector<Listener> listeners;
  for (std::size_t i = 0; i < ports.size(); i++) {
    listeners.push_back({sys::Fd(kFirstListener + static_cast<int>(i)), ports[i]});
  }
  _exit(forward_mode(listeners, address, 3));
}

// Ends the loop when the control connection ends, or says anything.
struct Control final : EventTarget {
  bool is_over = false;
  void ready(std::uint32_t) override { is_over = true; }
};

}  // namespace

sys::Result<Forwarder> start_forwarder(const std::vector<Listener>& listeners, std::string_view address) {
  if (!parse_address(address)) return sys::error("start forwarder", "not an address: " + std::string(address), EINVAL);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return sys::errno_error("start forwarder");
  }
  sys::Fd here(ends[0]);
  sys::Fd there(ends[1]);
  std::vector<Port> ports;
  std::vector<int> fds;
  for (const Listener& listener : listeners) {
    ports.push_back(listener.port);
    fds.push_back(listener.fd.get());
  }
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return sys::errno_error("start forwarder");
  if (pid == 0) run_child(parent, ports, fds, address, there.get());
  return Forwarder{pid, std::move(here)};
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
  Control over;
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
