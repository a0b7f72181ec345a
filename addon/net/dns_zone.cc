#include "net/dns_zone.h"

#include <algorithm>

namespace net {
namespace {

bool wants(const dns::Query& query, const Address& address) {
  return query.type == dns::kAny || query.type == (address.family == AF_INET ? dns::kA : dns::kAaaa);
}

}  // namespace

std::optional<std::string> DnsZone::answer(const dns::Query& query, std::size_t limit) {
  if (query.klass != dns::kInternet) return std::nullopt;
  dns::Answer answer(query);
  if (const auto address = dns::address_of_pointer(query.name)) {
    const std::string name = name_of(*address);
    if (name.empty()) return std::nullopt;
    if (query.type == dns::kPtr || query.type == dns::kAny) answer.add_pointer(name);
    return answer.finish(limit);
  }
  const std::vector<Address> addresses = find(query.name);
  if (addresses.empty()) return std::nullopt;
  for (const Address& address : addresses) {
    if (wants(query, address)) answer.add(address);
  }
  return answer.finish(limit);
}

std::vector<Address> DnsZone::find(const std::string& name) {
  std::vector<Address> found;
  for (NameFolder& network : networks_) {
    found = network.find(name);
    if (!found.empty()) break;
  }
  if (found.empty()) {
    const auto [first, last] = hosts_.equal_range(name);
    std::transform(first, last, std::back_inserter(found), [](const auto& host) { return host.second; });
  }
  // Most programs take the first: each of those that share a name gets its turn.
  if (found.size() > 1) {
    std::sort(found.begin(), found.end());
    std::rotate(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(turn_++ % found.size()), found.end());
  }
  return found;
}

std::string DnsZone::name_of(const Address& address) {
  for (NameFolder& network : networks_) {
    std::string name = network.name_of(address);
    if (!name.empty()) return name;
  }
  return {};
}

}  // namespace net
