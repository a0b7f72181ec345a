#include <doctest/doctest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <thread>

#include "net_support.h"
#include "sys/kernel.h"

using namespace net_test;

namespace {

constexpr const char* kContainer = "10.91.0.2";
const std::string kId = "aaaaaaaaaaaa0000";

// A host with one container and these published ports.
class Published {
 public:
  explicit Published(const std::vector<net::Port>& ports) : inside_(make_namespace()) {
    auto attached = net::attach(config(folder_, 2), kId, inside_.get());
    REQUIRE(attached.ok());
    attachment_ = std::move(*attached);
    auto bound = net::bind_ports(ports);
    REQUIRE(bound.ok());
    listeners_ = std::move(*bound);
    auto started = net::start_forwarder(listeners_, kContainer);
    REQUIRE(started.ok());
    forwarder_ = std::move(*started);
    for (auto& listener : listeners_) listener.fd.reset();
  }
  ~Published() {
    forwarder_.control.reset();
    int status = 0;
    CHECK(waitpid(forwarder_.pid, &status, 0) == forwarder_.pid);
    CHECK(status == 0);
    CHECK(net::detach(config(folder_, 2), kId).ok());
  }
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  [[nodiscard]] int inside() const { return inside_.get(); }
  [[nodiscard]] const net::Helper& forwarder() const { return forwarder_; }

 private:
  HostNamespace host_;
  TemporaryFolder folder_;
  sys::Fd inside_;
  net::Attachment attachment_;
  std::vector<net::Listener> listeners_;
  net::Helper forwarder_;
};

net::Port tcp(std::string address, std::uint16_t host) { return {std::move(address), host, 80, net::Protocol::kTcp}; }

std::string pattern(std::size_t size) {
  std::string data(size, '\0');
  std::mt19937_64 random(size);
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    std::uint64_t number = random();
    memcpy(data.data() + i, &number, 8);
  }
  return data;
}

void send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t size = write(fd, data.data(), data.size());
    REQUIRE(size > 0);
    data.remove_prefix(static_cast<std::size_t>(size));
  }
}

std::string echo(const char* address, std::uint16_t port, const std::string& text) {
  sys::Fd connection = connect_to(address, port);
  if (!connection) return strerror(errno);
  send_all(connection.get(), text);
  shutdown(connection.get(), SHUT_WR);
  return read_all(connection.get());
}

void reset(sys::Fd& fd) {
  linger now{1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.reset();
}

std::string status_of(pid_t pid, const std::string& field) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(field + ":", 0) == 0) return line.substr(field.size() + 2);
  }
  return "";
}

// Until the other end has said something; a busy machine has its time.
void wait_readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  poll(&ready, 1, 10000);
}

int descriptors_of(pid_t pid) {
  std::string command = "/proc/" + std::to_string(pid) + "/fd";
  int count = 0;
  for (int fd = 0; fd < 4096; fd++) {
    if (faccessat(AT_FDCWD, (command + "/" + std::to_string(fd)).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) count++;
  }
  return count;
}

}  // namespace

TEST_CASE("a published port answers on 127.0.0.1, ::1 and the host's address") {
  Published published({tcp("", 8001), tcp("localhost", 8002)});
  Server server(published.inside(), kContainer, 80, serve_echo);
  CHECK(echo("127.0.0.1", 8001, "hello") == "hello");
  CHECK(echo("::1", 8001, "hello") == "hello");
  CHECK(echo("10.91.0.1", 8001, "hello") == "hello");
  CHECK(echo("127.0.0.1", 8002, "hello") == "hello");
  CHECK(echo("::1", 8002, "hello") == "hello");
  CHECK(echo("10.91.0.1", 8002, "hello") == "Connection refused");
}

TEST_CASE("half-closes pass in both directions, and nothing of a large transfer is lost") {
  Published published({tcp("", 8001)});
  Server server(published.inside(), kContainer, 80, serve_echo);
  sys::Fd connection = connect_to("127.0.0.1", 8001, SOCK_STREAM, 20);
  const std::string data = pattern(64 << 20);
  std::thread sender([&] {
    send_all(connection.get(), data);
    shutdown(connection.get(), SHUT_WR);
  });
  std::string back = read_all(connection.get());
  sender.join();
  CHECK(back.size() == data.size());
  CHECK((back == data));

  // The server's half first: the client may go on sending.
  Published other({tcp("", 8002)});
  int seen[2];
  REQUIRE(pipe(seen) == 0);
  Server closes_first(other.inside(), kContainer, 80, [&](int fd) {
    send_all(fd, "bye");
    shutdown(fd, SHUT_WR);
    std::string got = read_all(fd);
    send_all(seen[1], got);
  });
  sys::Fd client = connect_to("127.0.0.1", 8002);
  CHECK(read_all(client.get()) == "bye");
  send_all(client.get(), "still here");
  client.reset();
  char text[32] = "";
  CHECK(read(seen[0], text, sizeof text - 1) == 10);
  CHECK(std::string(text) == "still here");
  close(seen[0]);
  close(seen[1]);
}

TEST_CASE("urgent data stays in the stream, and what follows it arrives") {
  Published published({tcp("", 8001)});
  Server server(published.inside(), kContainer, 80, serve_echo);
  sys::Fd connection = connect_to("127.0.0.1", 8001);
  send_all(connection.get(), "one ");
  REQUIRE(send(connection.get(), "!", 1, MSG_OOB) == 1);
  send_all(connection.get(), " two");
  std::string got;
  char buffer[64];
  while (got.size() < 9) {
    ssize_t size = read(connection.get(), buffer, sizeof buffer);
    if (size <= 0) break;
    got.append(buffer, static_cast<std::size_t>(size));
  }
  CHECK(got == "one ! two");
}

TEST_CASE("resets pass in both directions; a refused connection is a reset") {
  Published published({tcp("", 8001)});
  {
    sys::Fd nobody_listens = connect_to("127.0.0.1", 8001);
    REQUIRE(nobody_listens);
    CHECK(read_all(nobody_listens.get()) == "reset");
  }
  int seen[2];
  REQUIRE(pipe(seen) == 0);
  Server server(published.inside(), kContainer, 80, [&](int fd) {
    char command = 0;
    if (read(fd, &command, 1) == 1 && command == 'r') {
      sys::Fd mine(dup(fd));
      linger now{1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      return;
    }
    std::string got = read_all(fd);
    send_all(seen[1], got);
  });
  sys::Fd wants_reset = connect_to("127.0.0.1", 8001);
  send_all(wants_reset.get(), "r");
  CHECK(read_all(wants_reset.get()) == "reset");

  sys::Fd resets = connect_to("127.0.0.1", 8001);
  send_all(resets.get(), "xabc");
  usleep(50000);
  reset(resets);
  char text[32] = "";
  CHECK(read(seen[0], text, sizeof text - 1) > 0);
  CHECK(std::string(text).find("reset") != std::string::npos);
  close(seen[0]);
  close(seen[1]);
}

TEST_CASE("a client that does not read neither stops others nor makes the forwarder grow") {
  Published published({tcp("", 8001)});
  Server server(published.inside(), kContainer, 80, [](int fd) {
    std::string much(1 << 20, 'x');
    for (int i = 0; i < 64; i++) {
      for (ssize_t done = 0; done < static_cast<ssize_t>(much.size());) {
        ssize_t n = write(fd, much.data() + done, much.size() - static_cast<std::size_t>(done));
        if (n < 0) return;
        done += n;
      }
    }
  });
  auto resident_kib = [&] { return std::stol(status_of(published.forwarder().pid, "VmRSS")); };
  const long before_kib = resident_kib();
  sys::Fd stuck = connect_to("127.0.0.1", 8001, SOCK_STREAM, 20);
  usleep(200000);
  sys::Fd reads = connect_to("127.0.0.1", 8001, SOCK_STREAM, 20);
  CHECK(read_all(reads.get()).size() == 64 << 20);
  CHECK(resident_kib() - before_kib < 8000);
  CHECK(read_all(stuck.get()).size() == 64 << 20);
}

TEST_CASE("the forwarder keeps no privilege and no descriptor, and ends with its caller") {
  Published published({tcp("", 8001)});
  Server server(published.inside(), kContainer, 80, serve_echo);
  CHECK(echo("127.0.0.1", 8001, "up") == "up");
  const pid_t pid = published.forwarder().pid;
  CHECK(status_of(pid, "Uid").find("65534\t65534\t65534\t65534") == 0);
  CHECK(status_of(pid, "Groups").find_first_not_of(' ') == std::string::npos);
  CHECK(status_of(pid, "CapPrm") == "0000000000000000");
  CHECK(status_of(pid, "CapBnd") == "0000000000000000");
  CHECK(status_of(pid, "NoNewPrivs") == "1");
  // 0, 1, 2, control, two listeners and their watched copies, epoll, a kept pipe or two
  CHECK(descriptors_of(pid) <= 13);

  HostNamespace second;
  sys::Fd inside = make_namespace();
  int tell[2];
  REQUIRE(pipe(tell) == 0);
  pid_t supervisor = fork_child();
  if (supervisor == 0) {
    auto bound = net::bind_ports({tcp("", 8001)});
    auto started = net::start_forwarder(*bound, kContainer);
    check_or_abort(started.ok() && write(tell[1], &started->pid, sizeof(pid_t)) == sizeof(pid_t));
    pause();
    _exit(0);
  }
  pid_t orphan = -1;
  REQUIRE(read(tell[0], &orphan, sizeof orphan) == sizeof orphan);
  sys::Fd watched(sys::pidfd_open(orphan, 0));
  REQUIRE(watched);
  kill(supervisor, SIGKILL);
  waitpid(supervisor, nullptr, 0);
  for (int i = 0; i < 200 && sys::pidfd_send_signal(watched.get(), 0) == 0 && status_of(orphan, "State")[0] != 'Z';
       i++) {
    usleep(10000);
  }
  CHECK((sys::pidfd_send_signal(watched.get(), 0) != 0 || status_of(orphan, "State")[0] == 'Z'));
  CHECK(!connect_to("127.0.0.1", 8001));
  close(tell[0]);
  close(tell[1]);
}

TEST_CASE("beyond its share of descriptors accepting pauses, says so, and goes on") {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  Published* published = nullptr;
  // The forwarder takes the hard limit, which only a privileged process can raise again: so it is lowered in a child.
  pid_t child = fork_child();
  if (child == 0) {
    rlimit small{300, 300};
    check_or_abort(setrlimit(RLIMIT_NOFILE, &small) == 0);
    // 300 / 5 = 60 connections
    published = new Published({tcp("", 8001)});
    int failures = 0;
    {
      Server server(published->inside(), kContainer, 80, serve_echo);
      std::vector<sys::Fd> clients;
      clients.reserve(70);
      for (int i = 0; i < 70; i++) clients.push_back(connect_to("127.0.0.1", 8001));
      const int control = published->forwarder().control.get();
      char news[8] = "";
      wait_readable(control);
      failures += read(control, news, sizeof news) != 1 || news[0] != 'p';
      // The 70th is in the backlog: not served, not refused.
      send_all(clients[69].get(), "x");
      char byte = 0;
      failures += recv(clients[69].get(), &byte, 1, MSG_DONTWAIT) != -1;
      send_all(clients[0].get(), "x");
      failures += recv(clients[0].get(), &byte, 1, 0) != 1;
      for (int i = 0; i < 20; i++) clients[static_cast<std::size_t>(i)].reset();
      failures += recv(clients[69].get(), &byte, 1, 0) != 1;
      wait_readable(control);
      failures += read(control, news, sizeof news) < 1 || news[0] != 'r';
    }
    delete published;
    _exit(failures);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("datagrams go there and back, per client, from the address that was asked") {
  Published published({{"", 5300, 53, net::Protocol::kUdp}});
  sys::Fd server;
  in_namespace(published.inside(), [&] {
    server.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    socklen_t size = 0;
    auto local = endpoint(kContainer, 53, size);
    REQUIRE(bind(server.get(), reinterpret_cast<sockaddr*>(&local), size) == 0);
  });
  timeval limit{3, 0};
  setsockopt(server.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::vector<sys::Fd> clients;
  // Connected sockets: an answer from another address than the one asked would not arrive.
  for (const char* address : {"127.0.0.1", "::1", "127.0.0.1", "10.91.0.1"}) {
    clients.push_back(connect_to(address, 5300, SOCK_DGRAM));
    REQUIRE(clients.back());
    std::string question = "from " + std::to_string(clients.size());
    REQUIRE(send(clients.back().get(), question.data(), question.size(), 0) > 0);
    char text[64] = "";
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    REQUIRE(recvfrom(server.get(), text, sizeof text, 0, reinterpret_cast<sockaddr*>(&peer), &size) > 0);
    CHECK(std::string(text) == question);
    std::string reply = "to " + std::to_string(clients.size());
    REQUIRE(sendto(server.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&peer), size) > 0);
  }
  for (std::size_t i = 0; i < clients.size(); i++) {
    char text[64] = "";
    CHECK(recv(clients[i].get(), text, sizeof text, 0) == 4);
    CHECK(std::string(text) == "to " + std::to_string(i + 1));
  }
}
