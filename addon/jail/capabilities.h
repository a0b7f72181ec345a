// Giving up privileges, in the order in which the kernel lets it be done.
#pragma once

#include "jail/spec.h"
#include "jail/users.h"
#include "sys/result.h"

namespace jail {

// The process has identity `who` and no more than `wanted`: bounding, permitted and effective are cut to what this
// host's own bounding set has; inheritable and ambient are empty. See capabilities(7), "Effect of user ID changes on
// capabilities". In a user namespace with a single-id map (`rootless`) setgroups(2) is denied; that is an error only
// when there are groups to set.
sys::Result<void> become(const Identity& who, const Capabilities& wanted, bool rootless);

}  // namespace jail
