// The process object of config.json and of exec.
#pragma once

#include "jail/spec.h"
#include "sys/json.h"

namespace jail {

// What the OCI process object says. Failures are noted in `reader`.
void read_process(sys::JsonReader& reader, const sys::Json* process, Process& result);

// What the `dinghy` section says about the process.
void read_process_extras(sys::JsonReader& reader, const sys::Json* dinghy, Process& result);

}  // namespace jail
