// A profile of the user's own, already decided: which rules hold for these capabilities and this kernel is settled
// before.
#pragma once

#include <string>

#include "sys/json.h"
#include "sys/result.h"

namespace jail::seccomp {

// The program for `profile`: {defaultAction, defaultErrno?, architectures: [SCMP_ARCH_*], rules: [{names, action,
// errno?, args?: [{index, op, value, valueTwo}]}]}, in the words of libseccomp. A rule that gives what the default
// gives is left out, as libseccomp wants it; conditions on one argument twice are alternatives, as runc has them;
// architectures that this kernel cannot run are passed over. Calls of other architectures give EPERM. Steps of errors:
// "seccomp profile", "seccomp filter".
sys::Result<std::string> compile_custom(const sys::Json& profile);

}  // namespace jail::seccomp
