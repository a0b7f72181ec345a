// A procfs of our own, mounted nowhere: nothing the container does can put another file in the way of a write
// (CVE-2025-52881).
#pragma once

#include <sys/mount.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jail/spec.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// A detached procfs of the caller's pid namespace, with these mount attributes.
constexpr uint64_t kProcfsAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
sys::Result<sys::Fd> private_procfs();

// `path` below `proc`, with no links and no mounts on the way, was given `data`.
sys::Result<void> write_procfs(int proc, const std::string& path, std::string_view data);

// The sysctls are set. Only ones that belong to a namespace the container has for itself are accepted: a host's
// kernel.core_pattern would be an escape (CVE-2022-0811).
sys::Result<void> set_sysctls(int proc, const Spec& spec);

// "net.ipv4.ip_forward" or "net/ipv4/conf/eth0.1/forwarding" as a path below sys/, or empty when the name is malformed.
std::string sysctl_path(std::string_view name);

// Whether the sysctl with this path is the namespace's own, given the CLONE_NEW* flags of the container's new
// namespaces.
bool sysctl_allowed(std::string_view path, int namespaces);

}  // namespace jail
