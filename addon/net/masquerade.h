// The packet rules of one container.
#pragma once

#include <cstdint>
#include <string_view>

#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// What `address` sends to anywhere but its bridge leaves with the host's address, and nobody but the bridge's own
// containers and the host opens a connection to it. Holds while the descriptor is open: the table's owner is this
// socket (kernel 5.12), so a killed supervisor leaves no rule.
sys::Result<sys::Fd> masquerade(std::string_view bridge, std::uint32_t address, std::string_view id);

}  // namespace net
