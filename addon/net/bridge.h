// The bridge of one network, shared by its containers' supervisors under a lock.
#pragma once

#include <string>

#include "net/address.h"
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
};
sys::Result<Addresses> parse_addresses(const Config& config);

// Held as long as the descriptor is open.
sys::Result<sys::Fd> lock_network(const std::string& path);

// Exists, has the gateway's address, is up, believes no router advertisement, and the host forwards. Returns its index.
// The caller holds the lock, at least until the bridge has got a port: without one it may be removed.
sys::Result<int> ensure_bridge(Netlink& socket, const Config& config, const Addresses& addresses);

// Gone, if it is ours and no port is left. The caller holds the lock.
sys::Result<void> remove_unused_bridge(Netlink& socket, const std::string& name);

}  // namespace net
