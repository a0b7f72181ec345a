// Work in another network namespace.
#pragma once

#include <functional>

#include "sys/result.h"

namespace net {

// `work` ran with the thread in the namespace `netns`, where the sockets stay that it made; the thread is back. A
// caller that cannot come back would go on in the container's network, as if it were the host's: then it ends instead.
// Needs CAP_SYS_ADMIN, and a caller with one thread.
sys::Result<void> in_namespace(int netns, const std::function<sys::Result<void>()>& work);

}  // namespace net
