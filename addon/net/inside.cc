#include "net/inside.h"

#include <arpa/inet.h>  // before the kernel's headers, which then define nothing a second time
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <sys/socket.h>

#include "net/address.h"
#include "net/endpoint.h"
#include "net/nf_tables.h"

namespace net {
namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn

}  // namespace

sys::Result<sys::Fd> bind_inside(int type, std::uint16_t port) {
  sys::Fd fd(socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return sys::errno_error("open socket inside");
  const auto local = parse_endpoint(kInsideAddress, port);
  if (bind(fd.get(), local->get(), local->size) != 0) return sys::errno_error("bind inside");
  if (type == SOCK_STREAM && listen(fd.get(), kBacklog) != 0) return sys::errno_error("listen inside");
  return fd;
}

sys::Result<sys::Fd> redirect_inside(const std::string& table, const std::vector<Redirection>& redirections) {
  RuleTransaction rules(table);
  rules.table();
  rules.chain("output", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST);
  for (const Redirection& redirection : redirections) {
    rules.begin_rule("output");
    rules.match_address(kDestinationOffset, redirection.address);
    rules.match_destination_port(redirection.protocol, redirection.port);
    rules.redirect(*parse_address(kInsideAddress), redirection.inside);
    rules.end_rule();
  }
  return rules.commit();
}

}  // namespace net
