// The packet rules of one container on one network.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/network.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// The container's addresses on the network; `six` where it has IPv6.
struct RuleAddresses {
  std::uint32_t four;
  std::optional<Bytes6> six;
};

// What the addresses send to anywhere but its bridge leaves with the host's address, and nobody but the bridge's own
// containers and the host opens a connection to it; the host's clients of the bound `ports` reach it directly. On an
// internal network nothing is forwarded to or from it at all. Holds while the descriptor is open: the table's owner is
// this socket (kernel 5.12), so a killed supervisor leaves no rule.
sys::Result<sys::Fd> hold_rules(const Config& config, const RuleAddresses& addresses, std::string_view id,
                                const std::vector<Port>& ports);

// What concerns the ports alone, beside such rules that know of none.
sys::Result<sys::Fd> hold_port_rules(std::uint32_t address, std::string_view id, const std::vector<Port>& ports);

}  // namespace net
