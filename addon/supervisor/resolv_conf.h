// A container's /etc/resolv.conf, where it joins its first network with names.
#pragma once

#include <string>
#include <string_view>

#include "sys/result.h"

namespace supervisor {

// The bundle's file names the container's own resolver and no other server: what makeResolvConf() in
// lib/run/resolv-conf.ts would have written.
sys::Result<void> ask_own_resolver(const std::string& bundle);

// What ask_own_resolver() makes of a text.
std::string asking_resolver(std::string_view text);

}  // namespace supervisor
