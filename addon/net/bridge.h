// The bridge of one network, shared by its containers' supervisors under a lock.
#pragma once

#include <optional>
#include <string>

#include "net/address.h"
#include "net/links.h"
#include "net/netlink.h"
#include "net/network.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// A Config's texts, checked.
struct Addresses {
  Cidr container;
  Cidr gateway;  // with the subnet's prefix
  Mac mac;
  // Of a network that has IPv6.
  std::optional<Cidr6> container6, gateway6;
};
sys::Result<Addresses> parse_addresses(const Config& config);

// Adds to the batch: the link of that index has the address, at once.
void add_address6(Batch& batch, const char* step, int index, const Cidr6& address, unsigned flags = 0);

// Held as long as the descriptor is open.
sys::Result<sys::Fd> lock_network(const std::string& path);

// Exists, has the gateway's addresses, believes no router advertisement, and the host forwards. A new one is not up
// yet: that is for the caller, when it has got a port with a carrier. The caller holds the lock until then, since
// without a port it may be removed.
sys::Result<Link> ensure_bridge(Netlink& socket, const Config& config, const Addresses& addresses);

// Gone, if it is ours and no port is left. The caller holds the lock.
sys::Result<void> remove_unused_bridge(Netlink& socket, const std::string& name);

}  // namespace net
