// What every mode does first, and the signals of those that run a loop.
#pragma once

#include <functional>

#include "supervisor/loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

// No signal interrupts anything, nobody may trace us or read our memory through /proc, only descriptors below
// `fd_count` are open, nothing of the host's folders is kept busy, and orphans become our children.
void prepare_process(unsigned fd_count);

// `on_terminate` runs at SIGTERM, SIGINT and SIGHUP. Children that nobody waits for are reaped; `is_known` tells those
// that somebody does.
sys::Result<sys::Fd> watch_signals(Loop& loop, std::function<void()> on_terminate, std::function<bool(pid_t)> is_known);

// The processes that were orphaned to us are waited for, up to the first one that somebody else will wait for.
void reap_orphans(const std::function<bool(pid_t)>& is_known);

}  // namespace supervisor
