#include "supervisor/protocol.h"

namespace supervisor {

int protocol_version() { return kProtocolVersion; }

}  // namespace supervisor
