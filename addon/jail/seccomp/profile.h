// Docker's default seccomp profile as data: which calls are allowed, when, and with which arguments. Everything else
// gives EPERM.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jail::seccomp {

enum class Compare { kEqual, kLess, kMaskedZero };  // kMaskedZero: (argument & value) == 0

// Allowed when argument `index` compares so. Rules for one call are alternatives.
struct ArgumentRule {
  const char* call;
  unsigned index;
  Compare compare;
  uint64_t value;
};

// Calls allowed to who has capability `bit` (number of capabilities(7)).
struct CapabilityCalls {
  unsigned bit;
  const char* const* calls;
  size_t count;
};

// Numbers of calls on one architecture that libseccomp may not know by name yet; from number 403 on they are the same
// on every architecture.
struct NumberedCall {
  const char* name;
  int number;
};

struct Table {
  const char* const* calls;
  size_t count;
};

// Allowed for everybody.
Table unconditional_calls();
// Allowed for everybody on the architecture this is built for.
Table architecture_calls();

const CapabilityCalls* capability_calls(size_t& count);
const ArgumentRule* argument_rules(size_t& count);

// Without CAP_SYS_ADMIN: clone may not make namespaces. The mask is CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}.
constexpr uint64_t kCloneNamespaceMask = 0x7E020000;

// The number of a call that libseccomp does not know, or -1.
int number_of(const char* name);

}  // namespace jail::seccomp
