// Network namespaces for tests: the test's own thread stands in a fresh "host" namespace, so that the real host is
// never touched.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "child.h"
#include "net/links.h"
#include "net/network.h"
#include "sys/fd.h"

namespace net_test {

inline sys::Fd current_namespace() { return sys::Fd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)); }

inline void check_or_abort(bool ok) {
  if (!ok) {
    perror("net_support");
    abort();
  }
}

// In the namespace of the calling thread.
inline void bring_up_loopback() {
  const sys::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  check_or_abort(ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0);
}

// The calling thread is in a fresh namespace until the object ends.
class HostNamespace {
 public:
  HostNamespace() : home_(current_namespace()) {
    check_or_abort(unshare(CLONE_NEWNET) == 0);
    fd_ = current_namespace();
    bring_up_loopback();
  }
  ~HostNamespace() { check_or_abort(setns(home_.get(), CLONE_NEWNET) == 0); }
  HostNamespace(const HostNamespace&) = delete;
  HostNamespace& operator=(const HostNamespace&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  sys::Fd home_;
  sys::Fd fd_;
};

inline sys::Fd make_namespace() {
  sys::Fd home = current_namespace();
  check_or_abort(unshare(CLONE_NEWNET) == 0);
  sys::Fd made = current_namespace();
  check_or_abort(setns(home.get(), CLONE_NEWNET) == 0);
  return made;
}

inline void in_namespace(int netns, const std::function<void()>& work) {
  sys::Fd home = current_namespace();
  check_or_abort(setns(netns, CLONE_NEWNET) == 0);
  work();
  check_or_abort(setns(home.get(), CLONE_NEWNET) == 0);
}

// A folder of its own with a lock file, removed with it.
class TemporaryFolder {
 public:
  TemporaryFolder() { check_or_abort(mkdtemp(path_.data()) != nullptr); }
  ~TemporaryFolder() {
    unlink(lock().c_str());
    rmdir(path_.c_str());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string lock() const { return path_ + "/lock"; }

 private:
  std::string path_ = "/tmp/dinghy-net-test-XXXXXX";
};

inline net::Config config(const TemporaryFolder& folder, int number, std::string bridge = "dinghy0") {
  net::Config result;
  result.bridge = std::move(bridge);
  result.lock = folder.lock();
  result.subnet = "10.91.0.0/16";
  result.gateway = "10.91.0.1";
  result.address = "10.91.0." + std::to_string(number) + "/16";
  result.mac = "02:d1:0a:5b:00:0" + std::to_string(number % 10);
  return result;
}

inline sockaddr_storage endpoint(const char* address, std::uint16_t port, socklen_t& size) {
  sockaddr_storage storage{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  v4->sin_port = htons(port);
  if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    storage.ss_family = AF_INET;
    size = sizeof *v4;
  } else {
    check_or_abort(inet_pton(AF_INET6, address, &v6->sin6_addr) == 1);
    storage.ss_family = AF_INET6;
    size = sizeof *v6;
  }
  return storage;
}

// A connected socket with time-outs of `seconds`, or an empty one with errno set.
inline sys::Fd connect_to(const char* address, std::uint16_t port, int type = SOCK_STREAM, int seconds = 3) {
  socklen_t size = 0;
  sockaddr_storage peer = endpoint(address, port, size);
  sys::Fd fd(socket(peer.ss_family, type | SOCK_CLOEXEC, 0));
  timeval limit{seconds, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&peer), size) != 0) {
    int saved = errno;
    fd.reset();
    errno = saved;
  }
  return fd;
}

// Everything until the other end closes; "reset" after a reset.
inline std::string read_all(int fd) {
  std::string content;
  char buffer[65536];
  for (;;) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == ECONNRESET) return content + "reset";
    if (n < 0) return content + "error";
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
  }
}

// A process that does `serve(connection)` for each connection to a TCP port in a namespace; each in a process of its
// own.
class Server {
 public:
  Server(int netns, const char* address, std::uint16_t port, const std::function<void(int)>& serve) {
    sys::Fd listener;
    in_namespace(netns, [&] {
      socklen_t size = 0;
      sockaddr_storage local = endpoint(address, port, size);
      listener.reset(socket(local.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      int on = 1;
      setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      check_or_abort(bind(listener.get(), reinterpret_cast<sockaddr*>(&local), size) == 0);
      check_or_abort(listen(listener.get(), 4096) == 0);
    });
    pid_ = fork_child();
    if (pid_ != 0) return;
    setpgid(0, 0);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
      sys::Fd connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection || fork_child() != 0) continue;
      serve(connection.get());
      _exit(0);
    }
  }
  ~Server() {
    setpgid(pid_, pid_);
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  pid_t pid_ = -1;
};

// Sends the peer's address and closes.
inline void serve_peer_address(int connection) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  getpeername(connection, reinterpret_cast<sockaddr*>(&peer), &size);
  char text[INET6_ADDRSTRLEN] = "";
  auto* v4 = reinterpret_cast<sockaddr_in*>(&peer);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&peer);
  const bool is_v6 = peer.ss_family == AF_INET6;
  inet_ntop(peer.ss_family, is_v6 ? static_cast<void*>(&v6->sin6_addr) : &v4->sin_addr, text, sizeof text);
  check_or_abort(write(connection, text, strlen(text)) > 0);
}

// Sends back what it gets, and closes when the peer has closed its half.
inline void serve_echo(int connection) {
  char buffer[65536];
  for (ssize_t n = 0; (n = read(connection, buffer, sizeof buffer)) > 0;) {
    for (ssize_t done = 0, w = 0; done < n; done += w) {
      w = write(connection, buffer + done, static_cast<std::size_t>(n - done));
      if (w < 0) return;
    }
  }
}

inline std::string sysctl(const char* path) {
  sys::Fd fd(open(path, O_RDONLY | O_CLOEXEC));
  char buffer[64] = "";
  ssize_t n = read(fd.get(), buffer, sizeof buffer - 1);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n - 1)) : "";
}

// Every link of the present namespace but lo and the tunnels that the kernel makes in each.
inline std::string links() {
  auto socket = net::Netlink::create(NETLINK_ROUTE);
  std::string names;
  auto listed = net::list_links(*socket);
  for (const auto& link : *listed) {
    if (link.kind == "veth" || link.kind == "bridge") names += link.name + " ";
  }
  return names;
}

}  // namespace net_test
