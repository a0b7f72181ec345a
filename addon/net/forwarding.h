// net.ipv4.ip_forward: on while a bridge of ours is there, put back when the last one goes.
//
// The memory of the old value is the alias of a bridge ("dinghy ip_forward=0"), not a file: it ends with the kernel
// that the setting belongs to, and whoever removes the bridge of a killed supervisor finds it, whatever its data root.
#pragma once

#include <string_view>

#include "net/links.h"
#include "net/netlink.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// The alias that every bridge of ours has from the moment of its creation.
inline constexpr std::string_view kBridgeAlias = "dinghy";
inline constexpr std::string_view kForwardingAlias = "dinghy ip_forward=0";

// Different data roots have different locks but one ip_forward: this one is of them all, and held as long as the
// descriptor is open. A host without the file goes unlocked.
sys::Fd lock_forwarding();

// True for a bridge that this project made, in whatever data root.
bool is_our_bridge(const Link& link);

// The kernel forwards IPv4. If it did not before, the bridge's alias remembers that.
sys::Result<void> enable_forwarding(Netlink& socket, std::string_view bridge);

// The bridge is gone, and the veth named `port` if there is one; with the last bridge of ours, forwarding is as it was
// before the first.
sys::Result<void> delete_bridge(Netlink& socket, const Link& bridge, std::string_view port = {});

// Writes a setting under /proc/sys/net of the present network namespace; ENOENT where the kernel lacks it is left to
// the caller.
sys::Result<void> write_sysctl(const char* path, std::string_view value);

}  // namespace net
