// Published TCP ports for the host's own clients, without a process in between: the kernel rewrites the address of
// their packets (DNAT). Everybody else, IPv6 and UDP, is served by the forwarder, on the listener that reserves the
// port: a firewall of the host whose FORWARD chain drops (Docker sets that) has no say in what the host itself sends.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "net/network.h"
#include "net/nf_tables.h"
#include "sys/result.h"

namespace net {

// Whether any of these bound ports has an IPv4 address and TCP.
bool has_direct_ports(const std::vector<Port>& ports);

// Chains for those ports of the container at `address`. `postrouting` is a chain of type nat that is there.
void add_direct_ports(RuleTransaction& rules, const std::vector<Port>& ports, std::uint32_t address);

// Packets from the bridge for 127.0.0.0/8 are dropped, where allow_loopback_source() let them in.
void guard_loopback(RuleTransaction& rules, std::string_view bridge);

// The host's connections from 127.0.0.1 may go out by the bridge: without it the kernel takes them, and the answers,
// for forged (net.ipv4.conf.*.route_localnet). That lets the bridge's containers reach what the host serves on
// 127.0.0.1 alone (CVE-2020-8558), which is why each container comes with guard_loopback().
sys::Result<void> allow_loopback_source(std::string_view bridge);

}  // namespace net
