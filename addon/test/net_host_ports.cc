#include "net/host_ports.h"

#include <doctest/doctest.h>

#include "net_support.h"

using namespace net_test;

namespace {

constexpr const char* kGateway = "10.91.0.1";
constexpr const char* kId = "aaaaaaaaaaaa0000";

// A container on a network of the present host, which is led to those ports of it.
class Led {
 public:
  explicit Led(const std::vector<std::uint16_t>& ports) : config_(config(folder_, 2)), inside_(make_namespace()) {
    auto attached = net::attach(config_, kId, inside_.get());
    REQUIRE(attached.ok());
    attachment_ = std::move(*attached);
    auto opened = net::open_host_ports(inside_.get(), ports);
    REQUIRE(opened.ok());
    listeners_ = std::move(*opened);
    lead({kGateway});
    auto started = net::start_host_ports(listeners_);
    REQUIRE(started.ok());
    helper_ = std::move(*started);
  }
  ~Led() {
    helper_.control.reset();
    CHECK(waitpid(helper_.pid, nullptr, 0) == helper_.pid);
    CHECK(net::detach(config_, kId).ok());
  }
  Led(const Led&) = delete;
  Led& operator=(const Led&) = delete;

  void lead(const std::vector<std::string>& gateways) {
    auto rules = net::lead_to_host_ports(inside_.get(), listeners_, gateways, turn_++);
    REQUIRE(rules.ok());
    rules_ = std::move(*rules);
  }
  [[nodiscard]] int inside() const { return inside_.get(); }
  [[nodiscard]] sys::Fd connect(const char* address, std::uint16_t port) const {
    sys::Fd fd;
    int err = 0;
    in_namespace(inside_.get(), [&] {
      fd = connect_to(address, port);
      err = errno;
    });
    errno = err;
    return fd;
  }
  // What comes back from there.
  [[nodiscard]] std::string echo(const char* address, std::uint16_t port, const std::string& text) const {
    const sys::Fd fd = connect(address, port);
    if (!fd) return "refused";
    if (send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return "reset";
    shutdown(fd.get(), SHUT_WR);
    return read_all(fd.get());
  }

 private:
  TemporaryFolder folder_;
  net::Config config_;
  sys::Fd inside_;
  net::Attachment attachment_;
  std::vector<net::Listener> listeners_;
  sys::Fd rules_;
  unsigned turn_ = 0;
  net::Helper helper_;
};

}  // namespace

TEST_CASE("ports of the host's loopback are reached by the gateway, those alone, and by this container alone") {
  const HostNamespace host;
  const Server one(host.fd(), "127.0.0.1", 3000, serve_echo);
  const Server other(host.fd(), "127.0.0.1", 4000, serve_echo);
  const Server hidden(host.fd(), "127.0.0.1", 5000, serve_echo);
  const Led container({3000, 4000});
  CHECK(container.echo(kGateway, 3000, "ahoy") == "ahoy");
  CHECK(container.echo(kGateway, 4000, std::string(100000, 'x')) == std::string(100000, 'x'));
  CHECK(container.echo(kGateway, 5000, "ahoy") == "refused");
  CHECK(container.echo("127.0.0.1", 3000, "ahoy") == "refused");
  // Nothing listens on the host for it.
  CHECK_FALSE(connect_to(kGateway, 3000));
  CHECK(errno == ECONNREFUSED);
}

TEST_CASE("a server of the container's own can have the same port, and none on the host is an end") {
  const HostNamespace host;
  const Led container({3000});
  const Server own(container.inside(), "0.0.0.0", 3000, serve_peer_address);
  CHECK(container.echo("127.0.0.1", 3000, "") == "127.0.0.1");
  // Nobody is there yet: a connection that ends without a byte.
  const std::string nothing = container.echo(kGateway, 3000, "");
  CHECK((nothing.empty() || nothing == "reset" || nothing == "refused"));
  const Server late(host.fd(), "127.0.0.1", 3000, serve_echo);
  CHECK(container.echo(kGateway, 3000, "ahoy") == "ahoy");
}

TEST_CASE("where the host is found may change, while connections stay") {
  const HostNamespace host;
  const Server server(host.fd(), "127.0.0.1", 3000, serve_echo);
  Led container({3000});
  const sys::Fd old = container.connect(kGateway, 3000);
  char byte = 0;
  check_or_abort(send(old.get(), "a", 1, 0) == 1 && recv(old.get(), &byte, 1, 0) == 1);
  container.lead({"10.91.0.9"});
  CHECK(container.echo("10.91.0.9", 3000, "ahoy") == "ahoy");
  CHECK(container.echo(kGateway, 3000, "ahoy") == "refused");
  CHECK((send(old.get(), "b", 1, 0) == 1 && recv(old.get(), &byte, 1, 0) == 1 && byte == 'b'));
}
