// linux.resources of config.json.
#pragma once

#include "jail/spec.h"
#include "sys/json.h"

namespace jail {

// What the object says. Failures are noted in `reader`.
void read_resources(sys::JsonReader& reader, const sys::Json* resources, Resources& result);

}  // namespace jail
