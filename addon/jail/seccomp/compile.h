// From a capability set to the BPF program that seccomp(2) loads.
#pragma once

#include <cstdint>
#include <string>

#include "sys/result.h"

namespace jail::seccomp {

// Docker's default 14 capabilities, as bits.
constexpr uint64_t kDockerCapabilities = 0xa80425fb;

// The default profile for a process with these capabilities: an array of struct sock_filter, as bytes. The syscall
// numbers are sorted into a binary tree, which costs a call about a tenth of what a list does. Takes milliseconds:
// hence ahead of time.
sys::Result<std::string> compile(uint64_t capabilities);

}  // namespace jail::seccomp
