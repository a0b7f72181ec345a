// What the resolver of a container answers itself.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/dns_message.h"
#include "net/dns_names.h"
#include "net/endpoint.h"

namespace net {

class DnsZone {
 public:
  // `networks` in the order in which they are asked: the first that knows a name answers. `hosts` are further names
  // (lower case), with their addresses.
  DnsZone(std::vector<NameFolder> networks, std::multimap<std::string, Address> hosts)
      : networks_(std::move(networks)), hosts_(std::move(hosts)) {}

  // The answer, of at most `limit` bytes, to a question about a name or an address that is known here; nothing for any
  // other. Of a known name what it does not have is answered by no record, never by "no such name": musl asks for both
  // kinds of addresses and believes the first refusal.
  std::optional<std::string> answer(const dns::Query& query, std::size_t limit);

 private:
  std::vector<Address> find(const std::string& name);
  std::string name_of(const Address& address);

  std::vector<NameFolder> networks_;
  std::multimap<std::string, Address> hosts_;
  std::size_t turn_ = 0;
};

}  // namespace net
