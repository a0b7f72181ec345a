// Other limits and another restart policy for a container that exists.
#pragma once

#include <optional>
#include <string>

#include "jail/spec.h"
#include "supervisor/restart_policy.h"
#include "sys/json.h"
#include "sys/result.h"

namespace supervisor {

struct Update {
  jail::Resources resources;  // what is absent stays
  std::optional<RestartConfig> restart;
};

// `{resources?: <OCI resources>, restart?: {policy, maxRetries?}}`. Memory and swap come together, as do quota and
// period.
sys::Result<Update> parse_update(const sys::Json& request);

// What `changes` has is in `resources`.
void merge_resources(jail::Resources& resources, const jail::Resources& changes);

// The bundle's config.json with the changes of `request` in it, as a draft (config_draft.h): what else it says stays.
sys::Result<void> draft_update(const std::string& bundle, const sys::Json& request, bool sync);

}  // namespace supervisor
