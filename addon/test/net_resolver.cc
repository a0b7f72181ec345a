#include "net/resolver.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include "dns_support.h"
#include "net_support.h"

using namespace net_test;
using net::dns::kA;
using net::dns::kAaaa;
using net::dns::kPtr;
using net::dns::Rcode;
using net::dns::rcode_of;

namespace {

constexpr std::uint16_t kMx = 15;
constexpr useconds_t kSlowUs = 500'000;

std::string framed_by_length(const std::string& message) {
  std::string framed;
  put16(framed, static_cast<unsigned>(message.size()));
  return framed + message;
}

// A folder of names as supervisors keep it.
class Names {
 public:
  Names() {
    check_or_abort(mkdtemp(path_.data()) != nullptr);
    check_or_abort(chmod(path_.c_str(), 0755) == 0);
  }
  ~Names() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

  void add(const std::string& address, const std::string& lines) {
    const std::string draft = path_ + "/." + address + ".new";
    sys::Fd file(open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    check_or_abort(file && flock(file.get(), LOCK_EX) == 0);
    check_or_abort(write(file.get(), lines.data(), lines.size()) == static_cast<ssize_t>(lines.size()));
    check_or_abort(rename(draft.c_str(), (path_ + "/" + address).c_str()) == 0);
    files_[address] = std::move(file);
  }
  void remove(const std::string& address) {
    unlink((path_ + "/" + address).c_str());
    files_.erase(address);
  }
  // Its supervisor is killed: the file stays.
  void abandon(const std::string& address) { files_[address].reset(); }

 private:
  std::string path_ = "/tmp/dinghy-names-XXXXXX";
  std::map<std::string, sys::Fd> files_;
};

// A name server on the host, in a process of its own. What it does with a question depends on the name's first label.
class Upstream {
 public:
  explicit Upstream(const char* address, std::string answer = "192.0.2.1") : answer_(std::move(answer)) {
    sys::Fd udp = bound(address, SOCK_DGRAM);
    sys::Fd tcp = bound(address, SOCK_STREAM);
    check_or_abort(listen(tcp.get(), 64) == 0);
    pid_ = fork_child();
    if (pid_ == 0) serve(udp.get(), tcp.get());
  }
  ~Upstream() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

 private:
  static sys::Fd bound(const char* address, int type) {
    socklen_t size = 0;
    const sockaddr_storage local = endpoint(address, 53, size);
    sys::Fd fd(socket(local.ss_family, type | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    check_or_abort(bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), size) == 0);
    return fd;
  }

  [[nodiscard]] std::string answer_to(std::string_view message, bool is_udp) const {
    const auto parsed = net::dns::parse_query(message);
    const std::string label = parsed.query.name.substr(0, parsed.query.name.find('.'));
    if (label == "silent") return {};
    if (label == "slow") usleep(kSlowUs);
    if (label == "fails") return net::dns::Answer(parsed.query, Rcode::kServerFailure).finish(512);
    if (label == "refuses") return net::dns::error_answer(message, Rcode::kRefused);
    net::dns::Answer answer(parsed.query, label == "nobody" ? Rcode::kNoName : Rcode::kNone);
    const int count = label == "large" ? 200 : label == "nobody" ? 0 : 1;
    for (int i = 0; i < count; i++) answer.add(*net::parse_any_address(answer_));
    std::string bytes = answer.finish(is_udp ? 512 : 65535);
    // Letters in another case than they were asked for, as some servers have them.
    if (label == "shout") std::transform(bytes.begin() + 12, bytes.begin() + 18, bytes.begin() + 12, toupper);
    return bytes;
  }

  [[noreturn]] void serve(int udp, int tcp) const {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
      pollfd ready[2] = {{udp, POLLIN, 0}, {tcp, POLLIN, 0}};
      poll(ready, 2, -1);
      if ((ready[0].revents & POLLIN) != 0) serve_datagram(udp);
      if ((ready[1].revents & POLLIN) != 0) serve_connection(tcp);
    }
  }

  void serve_datagram(int fd) const {
    char buffer[4096];
    sockaddr_storage client{};
    socklen_t size = sizeof client;
    auto* address = reinterpret_cast<sockaddr*>(&client);
    const ssize_t length = recvfrom(fd, buffer, sizeof buffer, 0, address, &size);
    if (length < 0) return;
    const std::string_view message(buffer, static_cast<std::size_t>(length));
    const std::string answer = answer_to(message, true);
    if (message.find("forged") != std::string_view::npos) {
      std::string forged = net::dns::Answer(net::dns::parse_query(message).query, Rcode::kNoName).finish(512);
      net::dns::set_id(forged, static_cast<std::uint16_t>(net::dns::id_of(forged) + 1));
      sendto(fd, forged.data(), forged.size(), 0, address, size);
      sendto(fd, "x", 1, 0, address, size);
    }
    if (!answer.empty()) sendto(fd, answer.data(), answer.size(), 0, address, size);
  }

  void serve_connection(int listener) const {
    const sys::Fd connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    char buffer[4096];
    const ssize_t length = read(connection.get(), buffer, sizeof buffer);
    if (length < 2) return;
    const std::string answer = answer_to({buffer + 2, static_cast<std::size_t>(length - 2)}, false);
    if (answer.empty()) return;
    const std::string framed = framed_by_length(answer);
    // In two pieces, as streams come.
    const std::size_t half = framed.size() / 2;
    check_or_abort(write(connection.get(), framed.data(), half) >= 0);
    check_or_abort(write(connection.get(), framed.data() + half, framed.size() - half) >= 0);
  }

  std::string answer_;
  pid_t pid_ = -1;
};

// A host, and on it a container with the resolver. The container has no link: the resolver needs none.
class Resolved {
 public:
  explicit Resolved(const net::ResolverConfig& config) : inside_(make_namespace()) {
    in_namespace(inside_.get(), bring_up_loopback);
    auto opened = net::open_resolver(inside_.get());
    REQUIRE(opened.ok());
    sockets_ = std::move(*opened);
    start(config);
  }
  ~Resolved() { end(); }
  Resolved(const Resolved&) = delete;
  Resolved& operator=(const Resolved&) = delete;

  void start(const net::ResolverConfig& config) {
    auto started = net::start_resolver(sockets_, config);
    REQUIRE(started.ok());
    helper_ = std::move(*started);
  }
  void end() {
    helper_.control.reset();
    int status = 0;
    CHECK(waitpid(helper_.pid, &status, 0) == helper_.pid);
    CHECK(status == 0);
    for (const pid_t pid : retired_) CHECK(waitpid(pid, nullptr, 0) == pid);
    retired_.clear();
  }
  // Another one has taken the sockets over, before this one was told to end.
  void succeed(const net::ResolverConfig& config) {
    net::Helper before = std::exchange(helper_, {});
    start(config);
    before.control.reset();
    retired_.push_back(before.pid);
  }
  [[nodiscard]] int inside() const { return inside_.get(); }
  [[nodiscard]] pid_t pid() const { return helper_.pid; }

  // A socket of one of its programs, connected to the resolver.
  [[nodiscard]] sys::Fd client(int type) const {
    sys::Fd fd;
    in_namespace(inside_.get(), [&] { fd = connect_to("127.0.0.11", 53, type, 8); });
    return fd;
  }
  // What a program gets as an answer; "" when none came.
  [[nodiscard]] std::string ask(const std::string& message) const {
    const sys::Fd fd = client(SOCK_DGRAM);
    check_or_abort(send(fd.get(), message.data(), message.size(), 0) >= 0);
    char buffer[65536];
    const ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
    return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : std::string();
  }
  [[nodiscard]] std::string ask_by_tcp(const std::string& message) const {
    const sys::Fd fd = client(SOCK_STREAM);
    const std::string framed = framed_by_length(message);
    check_or_abort(write(fd.get(), framed.data(), framed.size()) == static_cast<ssize_t>(framed.size()));
    shutdown(fd.get(), SHUT_WR);
    const std::string answer = read_all(fd.get());
    return answer.size() > 2 && get16(answer, 0) == answer.size() - 2 ? answer.substr(2) : std::string();
  }
  [[nodiscard]] std::vector<std::string> addresses(const std::string& name) const {
    return addresses_in(ask(query(name, kA)));
  }

 private:
  sys::Fd inside_;
  net::ResolverSockets sockets_;
  net::Helper helper_;
  std::vector<pid_t> retired_;
};

using Texts = std::vector<std::string>;

// With the host's name servers, which its resolv.conf has.
net::ResolverConfig config_of(const std::vector<const Names*>& networks, const std::vector<std::string>& servers = {}) {
  net::ResolverConfig config;
  for (const Names* names : networks) {
    config.networks.push_back({"Net" + std::to_string(config.networks.size() + 1), names->path()});
  }
  config.hosts = {{"host.dinghy.internal", "10.91.0.1"}, {"host.docker.internal", "10.91.0.1"}};
  if (servers.empty()) return config;
  config.resolv_conf = networks.front()->path() + "/resolv.conf-" + servers.front();
  std::ofstream file(config.resolv_conf);
  for (const std::string& server : servers) file << "nameserver " << server << "\n";
  return config;
}

}  // namespace

TEST_CASE("a container is found by its names, in any case, with its network's name, and by its address") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "Web-1\nfront\n0123456789ab\n");
  const Resolved container(config_of({&names}));
  for (const char* name : {"web-1", "WEB-1", "front", "0123456789ab", "web-1.net1", "Front.NET1"}) {
    CHECK_MESSAGE(container.addresses(name) == Texts{"10.91.0.2"}, name);
  }
  CHECK(container.addresses("host.docker.internal") == Texts{"10.91.0.1"});
  CHECK(pointer_in(container.ask(query("2.0.91.10.in-addr.arpa", kPtr))) == "web-1.net1");
  CHECK(addresses_in(container.ask_by_tcp(query("front", kA))) == Texts{"10.91.0.2"});
}

TEST_CASE("of a known name what it does not have is no record, never no such name") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  const Resolved container(config_of({&names}));
  for (const std::uint16_t type : {kAaaa, net::dns::Type{kMx}, kPtr}) {
    const std::string answer = container.ask(query("web", type));
    REQUIRE(answer.size() >= net::dns::kHeaderSize);
    CHECK(rcode_of(answer) == Rcode::kNone);
    CHECK(get16(answer, 6) == 0);
  }
}

TEST_CASE("an address of IPv6 is found beside that of IPv4") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  names.add("fd00::2", "web\n");
  const Resolved container(config_of({&names}));
  CHECK(container.addresses("web") == Texts{"10.91.0.2"});
  const auto found = records_in(container.ask(query("web", kAaaa)), kAaaa);
  REQUIRE(found.size() == 1);
  CHECK(found[0] == net::parse_any_address("fd00::2")->view());
}

TEST_CASE("names come and go at once, and those of a killed supervisor count for nothing") {
  const HostNamespace host;
  Names names;
  net::ResolverConfig config = config_of({&names});
  config.is_internal = true;
  const Resolved container(config);
  CHECK(container.addresses("web").empty());
  for (int round = 0; round < 20; round++) {
    names.add("10.91.0.2", "web\n");
    CHECK(container.addresses("web") == Texts{"10.91.0.2"});
    names.add("10.91.0.2", "renamed\n");
    CHECK(container.addresses("web").empty());
    CHECK(container.addresses("renamed") == Texts{"10.91.0.2"});
    names.remove("10.91.0.2");
    CHECK(container.addresses("renamed").empty());
  }
  names.add("10.91.0.3", "killed\n");
  CHECK(container.addresses("killed") == Texts{"10.91.0.3"});
  names.abandon("10.91.0.3");
  CHECK(container.addresses("killed").empty());
  CHECK(pointer_in(container.ask(query("3.0.91.10.in-addr.arpa", kPtr))).empty());
}

TEST_CASE("a container that is renamed all the time is there all the time") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  net::ResolverConfig config = config_of({&names});
  config.is_internal = true;
  const Resolved container(config);
  const pid_t renamer = fork();
  if (renamer == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) names.add("10.91.0.2", "web\n");
  }
  int missed = 0;
  for (int i = 0; i < 2000; i++) missed += container.addresses("web") == Texts{"10.91.0.2"} ? 0 : 1;
  CHECK(missed == 0);
  kill(renamer, SIGKILL);
  waitpid(renamer, nullptr, 0);
}

TEST_CASE("who shares a name takes turns, and more than fit into a datagram are had over TCP") {
  const HostNamespace host;
  Names names;
  for (int i = 2; i < 5; i++) names.add("10.91.0." + std::to_string(i), "many\n");
  const Resolved container(config_of({&names}));
  std::set<std::string> first;
  for (int i = 0; i < 3; i++) {
    const Texts found = container.addresses("many");
    CHECK(found.size() == 3);
    first.insert(found.at(0));
  }
  CHECK(first.size() == 3);

  for (int i = 5; i < 105; i++) names.add("10.91.0." + std::to_string(i), "many\n");
  CHECK(is_truncated(container.ask(query("many", kA))));
  CHECK(addresses_in(container.ask(query("many", kA, 4096))).size() == 103);
  CHECK(addresses_in(container.ask_by_tcp(query("many", kA))).size() == 103);
}

TEST_CASE("of several networks the first that knows a name answers") {
  const HostNamespace host;
  Names one, two;
  one.add("10.91.0.2", "web\n");
  two.add("10.92.0.2", "web\ndb\n");
  const Resolved container(config_of({&one, &two}));
  CHECK(container.addresses("web") == Texts{"10.91.0.2"});
  CHECK(container.addresses("web.net2") == Texts{"10.92.0.2"});
  CHECK(container.addresses("db") == Texts{"10.92.0.2"});
}

TEST_CASE("other names are asked of the host's servers, which may be on the host's loopback") {
  const HostNamespace host;
  const Names names;
  const Upstream upstream("127.0.0.53");
  const Resolved container(config_of({&names}, {"127.0.0.53"}));
  CHECK(container.addresses("www.example.com") == Texts{"192.0.2.1"});
  CHECK(container.addresses("shout.example.com") == Texts{"192.0.2.1"});
  CHECK(container.addresses("forged.example.com") == Texts{"192.0.2.1"});
  CHECK(net::dns::id_of(container.ask(query("www.example.com", kA, 0, 0xabcd))) == 0xabcd);
  CHECK(rcode_of(container.ask(query("nobody.example.com", kA))) == Rcode::kNoName);
  CHECK(rcode_of(container.ask(query("fails.example.com", kA))) == Rcode::kServerFailure);
  CHECK(rcode_of(container.ask(query("refuses.example.com", kA))) == Rcode::kRefused);
  CHECK(is_truncated(container.ask(query("large.example.com", kA))));
  CHECK(addresses_in(container.ask_by_tcp(query("large.example.com", kA))).size() == 200);
}

TEST_CASE("a server that is silent, not there or refuses is followed by the next") {
  const HostNamespace host;
  const Names names;
  const Upstream good("127.0.0.54", "192.0.2.54");
  {
    const Resolved container(config_of({&names}, {"127.0.0.53", "127.0.0.54"}));
    CHECK(container.addresses("www.example.com") == Texts{"192.0.2.54"});
    CHECK(addresses_in(container.ask_by_tcp(query("www.example.com", kA))) == Texts{"192.0.2.54"});
  }
  const sys::Fd mute(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  socklen_t size = 0;
  const sockaddr_storage local = endpoint("127.0.0.53", 53, size);
  REQUIRE(bind(mute.get(), reinterpret_cast<const sockaddr*>(&local), size) == 0);
  const Resolved container(config_of({&names}, {"127.0.0.53", "127.0.0.54"}));
  CHECK(container.addresses("www.example.com") == Texts{"192.0.2.54"});
  // The next question begins with the server that answered: the mute one is not asked again.
  char buffer[512];
  CHECK(recv(mute.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0);
  CHECK(container.addresses("www.example.com") == Texts{"192.0.2.54"});
  CHECK(recv(mute.get(), buffer, sizeof buffer, MSG_DONTWAIT) < 0);
}

TEST_CASE("where no server answers that is told, at once or before a client gives up") {
  const HostNamespace host;
  const Names names;
  const Upstream upstream("127.0.0.53");
  const Resolved container(config_of({&names}, {"127.0.0.53"}));
  const Resolved alone(config_of({&names}, {"127.0.0.99"}));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(rcode_of(alone.ask(query("www.example.com", kA))) == Rcode::kServerFailure);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(4));
  CHECK(rcode_of(container.ask(query("silent.example.com", kA))) == Rcode::kServerFailure);
}

TEST_CASE("the servers are those that resolv.conf names at the time") {
  const HostNamespace host;
  const Names names;
  const Upstream one("127.0.0.53", "192.0.2.53");
  const Upstream other("127.0.0.54", "192.0.2.54");
  net::ResolverConfig config = config_of({&names});
  config.resolv_conf = names.path() + "/resolv.conf";
  std::ofstream(config.resolv_conf) << "# no server\nsearch example.com\nnameserver 127.0.0.53\n";
  const Resolved container(config);
  CHECK(container.addresses("www.example.com") == Texts{"192.0.2.53"});
  std::ofstream(config.resolv_conf) << "nameserver\t127.0.0.54 \nnameserver 127.0.0.53\n";
  CHECK(container.addresses("www.example.com") == Texts{"192.0.2.54"});
  unlink(config.resolv_conf.c_str());
}

TEST_CASE("on an internal network nothing is passed on") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  const Upstream upstream("127.0.0.53");
  net::ResolverConfig config = config_of({&names}, {"127.0.0.53"});
  config.is_internal = true;
  const Resolved container(config);
  CHECK(rcode_of(container.ask(query("www.example.com", kA))) == Rcode::kNoName);
  CHECK(container.addresses("web") == Texts{"10.91.0.2"});
}

TEST_CASE("servers that the container was given are asked from inside it, also where nothing else is passed on") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  const Upstream others("127.0.0.53", "192.0.2.53");
  for (const bool is_internal : {false, true}) {
    net::ResolverConfig config = config_of({&names}, {"127.0.0.53"});
    config.servers = {"127.0.0.53"};
    config.is_internal = is_internal;
    const Resolved container(config);
    CHECK(rcode_of(container.ask(query("www.example.com", kA))) == Rcode::kServerFailure);
    in_namespace(container.inside(), [&] {
      const Upstream own("127.0.0.53", "192.0.2.77");
      CHECK(container.addresses("www.example.com") == Texts{"192.0.2.77"});
      CHECK(addresses_in(container.ask_by_tcp(query("www.example.com", kA))) == Texts{"192.0.2.77"});
    });
    CHECK(container.addresses("web") == Texts{"10.91.0.2"});
  }
}

TEST_CASE("an image's own name server can have port 53, and nobody outside reaches the resolver") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  const Resolved container(config_of({&names}));
  std::string own;
  in_namespace(container.inside(), [&] {
    const Upstream server("0.0.0.0", "192.0.2.99");
    const sys::Fd fd = connect_to("127.0.0.1", 53, SOCK_DGRAM);
    const std::string message = query("www.example.com", kA);
    check_or_abort(send(fd.get(), message.data(), message.size(), 0) > 0);
    char buffer[512];
    const ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
    if (size > 0) own.assign(buffer, static_cast<std::size_t>(size));
    CHECK(container.addresses("web") == Texts{"10.91.0.2"});
  });
  CHECK(addresses_in(own) == Texts{"192.0.2.99"});
  CHECK_FALSE(connect_to("127.0.0.11", 53));
  CHECK(errno == ECONNREFUSED);
}

TEST_CASE("bytes that are no question are survived, and many questions on one connection answered") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  const Upstream upstream("127.0.0.53");
  const Resolved container(config_of({&names}, {"127.0.0.53"}));
  const sys::Fd noise = container.client(SOCK_DGRAM);
  const std::string whole = query("web", kA, 1232);
  for (std::size_t size = 0; size < whole.size(); size++) {
    check_or_abort(send(noise.get(), whole.data(), size, 0) >= 0);
  }
  const std::string huge(60000, 'x');
  check_or_abort(send(noise.get(), huge.data(), huge.size(), 0) >= 0);
  CHECK(container.addresses("web") == Texts{"10.91.0.2"});

  const sys::Fd stream = container.client(SOCK_STREAM);
  std::string questions;
  for (unsigned i = 0; i < 100; i++) {
    questions += framed_by_length(query(i % 2 == 0 ? "web" : "www.example.com", kA, 0, i));
  }
  check_or_abort(write(stream.get(), questions.data(), questions.size()) == static_cast<ssize_t>(questions.size()));
  shutdown(stream.get(), SHUT_WR);
  std::string answers = read_all(stream.get());
  std::set<unsigned> ids;
  while (answers.size() > 2) {
    const std::size_t size = get16(answers, 0);
    const std::string answer = answers.substr(2, size);
    const unsigned id = net::dns::id_of(answer);
    CHECK(addresses_in(answer) == Texts{id % 2 == 0 ? "10.91.0.2" : "192.0.2.1"});
    ids.insert(id);
    answers.erase(0, 2 + size);
  }
  CHECK(ids.size() == 100);

  // A response instead of a question ends the connection: its answer could be answered, for ever.
  std::string response = query("web", kA);
  response[2] = static_cast<char>(0x80);
  CHECK(container.ask_by_tcp(response).empty());
  CHECK(container.addresses("web") == Texts{"10.91.0.2"});
}

TEST_CASE("questions beyond what the servers can take are refused, names of containers still found") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  const Upstream upstream("127.0.0.53");
  const Resolved container(config_of({&names}, {"127.0.0.53"}));
  const sys::Fd flood = container.client(SOCK_DGRAM);
  char buffer[512];
  bool is_refused = false;
  for (unsigned step = 0; step < 80 && !is_refused; step++) {
    for (unsigned i = 0; i < 10; i++) {
      const std::string message = query("silent.example.com", kA, 0, step * 10 + i);
      check_or_abort(send(flood.get(), message.data(), message.size(), 0) >= 0);
    }
    // An answer: those before it have been read, and no buffer overflows, however slow the machine is.
    CHECK(container.addresses("web") == Texts{"10.91.0.2"});
    const ssize_t size = recv(flood.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    is_refused = size > 0 && rcode_of({buffer, static_cast<std::size_t>(size)}) == Rcode::kServerFailure;
  }
  CHECK(is_refused);
}

TEST_CASE("the helper has no privilege, and another one can take over its sockets") {
  const HostNamespace host;
  Names one, two;
  one.add("10.91.0.2", "web\n");
  two.add("10.92.0.2", "db\n");
  Resolved container(config_of({&one}));
  CHECK(container.addresses("web") == Texts{"10.91.0.2"});
  std::ifstream status("/proc/" + std::to_string(container.pid()) + "/status");
  std::string text(std::istreambuf_iterator<char>(status), {});
  CHECK(text.find("Uid:\t65534\t65534\t65534\t65534") != std::string::npos);
  CHECK(text.find("CapPrm:\t0000000000000000") != std::string::npos);
  CHECK(text.find("NoNewPrivs:\t1") != std::string::npos);
  container.end();
  container.start(config_of({&one, &two}));
  CHECK(container.addresses("web") == Texts{"10.91.0.2"});
  CHECK(container.addresses("db") == Texts{"10.92.0.2"});
}

TEST_CASE("what was asked before another one took over is still answered, by datagram and by stream") {
  const HostNamespace host;
  Names names;
  names.add("10.91.0.2", "web\n");
  const Upstream upstream("127.0.0.53");
  Resolved container(config_of({&names}, {"127.0.0.53"}));
  const std::string slow = query("slow.example.com", kA);
  const sys::Fd datagram = container.client(SOCK_DGRAM);
  check_or_abort(send(datagram.get(), slow.data(), slow.size(), 0) > 0);
  const sys::Fd stream = container.client(SOCK_STREAM);
  const std::string framed = framed_by_length(query("web", kA)) + framed_by_length(slow);
  check_or_abort(send(stream.get(), framed.data(), framed.size(), 0) > 0);
  // The first answer on the stream: all that was sent has been read.
  char buffer[512];
  const ssize_t first = recv(stream.get(), buffer, sizeof buffer, 0);
  CHECK((first > 2 && addresses_in({buffer + 2, static_cast<std::size_t>(first - 2)}) == Texts{"10.91.0.2"}));
  container.succeed(config_of({&names}, {"127.0.0.53"}));
  CHECK(container.addresses("web") == Texts{"10.91.0.2"});
  const ssize_t size = recv(datagram.get(), buffer, sizeof buffer, 0);
  CHECK((size > 0 && addresses_in({buffer, static_cast<std::size_t>(size)}) == Texts{"192.0.2.1"}));
  const std::string rest = read_all(stream.get());
  CHECK((rest.size() > 2 && addresses_in(rest.substr(2)) == Texts{"192.0.2.1"}));
}
