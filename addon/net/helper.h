// A child process that talks to strangers on the supervisor's behalf: the forwarder, the resolver.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "net/event_loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

struct Helper {
  pid_t pid = -1;
  sys::Fd control;  // closing it ends the helper
};

// `body` runs in a child of the caller, which gives its exit code. It keeps no privilege, and of the caller's
// descriptors only those of `keep`: they are kFirstKept and the following, in order, and control is kControl. It does
// not outlive the caller, who reaps the pid. `name` is the process's, at most 15 bytes.
sys::Result<Helper> start_helper(const char* name, const std::vector<int>& keep, const std::function<int()>& body);

inline constexpr int kControl = 3;  // 0, 1, 2 are /dev/null: as in every mode
inline constexpr int kFirstKept = 4;

// Ends a helper's loop when the control connection ends, or says anything.
struct ControlTarget final : EventTarget {
  bool is_over = false;
  void ready(std::uint32_t) override { is_over = true; }
};

}  // namespace net
