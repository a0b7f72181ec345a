// The name servers that a question is passed on to.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "net/endpoint.h"

namespace net {

// More are not asked: as in the C libraries.
inline constexpr std::size_t kMaxServers = 3;

// The servers that a resolv.conf names, the first kMaxServers; without any the local machine's, as resolv.conf(5) has
// it.
std::vector<Endpoint> parse_servers(std::string_view resolv_conf);

class DnsServers {
 public:
  // Those servers, for ever.
  explicit DnsServers(std::vector<Endpoint> fixed) : servers_(std::move(fixed)) {}
  // Those that the file names at the time.
  explicit DnsServers(std::string resolv_conf) : path_(std::move(resolv_conf)) {}

  // In the order in which they are to be asked: from the one on that answered when another did not.
  std::vector<Endpoint> list();
  // This one has answered, when the first of the list had not.
  void prefer(const Endpoint& server);

 private:
  void refresh();

  std::string path_;
  struct stat read_ {};
  std::vector<Endpoint> servers_;
  std::size_t first_ = 0;
};

}  // namespace net
