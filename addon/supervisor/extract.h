// The request of unpack mode that puts an archive into a folder of a container or of this host.
#pragma once

#include <string>

#include "supervisor/connection.h"
#include "sys/result.h"

namespace supervisor {

// The archive on fd 0 has been put where `request` says; the answer. Ends the process when the control connection ends.
sys::Result<std::string> extract(const Request& request);

}  // namespace supervisor
