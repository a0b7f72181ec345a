#include "net/dns_servers.h"

#include <algorithm>
#include <cstring>

#include "sys/small_file.h"

namespace net {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kMaxFile = 65536;
constexpr std::string_view kSpace = " \t\r";

std::string_view take_word(std::string_view& line) {
  const std::size_t start = std::min(line.find_first_not_of(kSpace), line.size());
  line.remove_prefix(start);
  const std::string_view word = line.substr(0, line.find_first_of(kSpace));
  line.remove_prefix(word.size());
  return word;
}

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_ino == other.st_ino && one.st_dev == other.st_dev && one.st_size == other.st_size &&
         std::memcmp(&one.st_mtim, &other.st_mtim, sizeof one.st_mtim) == 0 &&
         std::memcmp(&one.st_ctim, &other.st_ctim, sizeof one.st_ctim) == 0;
}

}  // namespace

std::vector<Endpoint> parse_servers(std::string_view resolv_conf) {
  std::vector<Endpoint> servers;
  while (!resolv_conf.empty() && servers.size() < kMaxServers) {
    std::string_view line = resolv_conf.substr(0, resolv_conf.find('\n'));
    resolv_conf.remove_prefix(std::min(line.size() + 1, resolv_conf.size()));
    if (take_word(line) != "nameserver") continue;
    if (const auto server = parse_endpoint(take_word(line), kDnsPort)) servers.push_back(*server);
  }
  if (servers.empty()) servers.push_back(*parse_endpoint("127.0.0.1", kDnsPort));
  return servers;
}

std::vector<Endpoint> DnsServers::list() {
  if (!path_.empty()) refresh();
  std::vector<Endpoint> ordered = servers_;
  if (first_ < ordered.size()) {
    std::rotate(ordered.begin(), ordered.begin() + static_cast<std::ptrdiff_t>(first_), ordered.end());
  }
  return ordered;
}

void DnsServers::prefer(const Endpoint& server) {
  const auto found = std::find(servers_.begin(), servers_.end(), server);
  if (found != servers_.end()) first_ = static_cast<std::size_t>(found - servers_.begin());
}

// The host's network may come and go under a container that runs for months.
void DnsServers::refresh() {
  struct stat info {};
  const bool is_there = stat(path_.c_str(), &info) == 0;
  if (!servers_.empty() && is_same(info, read_)) return;
  const auto text = is_there ? sys::read_file(path_, kMaxFile) : std::string();
  if (!text && !servers_.empty()) return;  // being replaced: those known stay
  servers_ = parse_servers(text ? *text : std::string());
  read_ = info;
  first_ = 0;
}

}  // namespace net
