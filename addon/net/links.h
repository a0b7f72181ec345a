// Network links of the namespace that a netlink socket belongs to.
#pragma once

#include <linux/rtnetlink.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/netlink.h"
#include "sys/result.h"

namespace net {

struct Link {
  int index = 0;
  int master = 0;  // index of the bridge it is a port of, or 0
  bool is_up = false;
  std::string name;
  std::string kind;   // "bridge", "veth", … or "" for hardware
  std::string alias;  // free text that stays with the link
};

// Nothing when there is no such link.
sys::Result<std::optional<Link>> find_link(Netlink& socket, std::string_view name);

// All links, or those that are ports of `master`.
sys::Result<std::vector<Link>> list_links(Netlink& socket, int master = 0);

// Adds to the batch: a message about the link of that name, which the caller may go on filling.
void begin_set_link(Batch& batch, const char* step, std::string_view name, bool up);
// The same for the link of that index.
void begin_set_link(Batch& batch, const char* step, int index, bool up);

// The link is gone; it is no error if it was not there.
sys::Result<void> delete_link(Netlink& socket, std::string_view name);

// All named links are gone ("" is passed over). In one go, because each removal that stands alone waits for RCU grace
// periods.
sys::Result<void> delete_links(Netlink& socket, std::initializer_list<std::string_view> names);

// Adds to the open message: no IPv6 address is made up for the link when it comes up. For links of the host, which only
// carry the container's frames. Adds nothing where the kernel has no IPv6, which would refuse the attribute.
void without_ipv6_address(Batch& batch);

}  // namespace net
