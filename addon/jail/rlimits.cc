#include "jail/rlimits.h"

#include <sys/resource.h>

#include <algorithm>
#include <string>

namespace jail {
namespace {

constexpr rlim_t kDefaultFiles = 1024;

sys::Result<void> set_one(const Rlimit& wanted) {
  const rlimit value{wanted.soft, wanted.hard};
  const auto resource = static_cast<__rlimit_resource>(wanted.resource);
  if (setrlimit(resource, &value) == 0) return {};
  sys::Error failure = sys::errno_error("rlimit " + wanted.name);
  rlimit present{};
  if (failure.err == EPERM && getrlimit(resource, &present) == 0) {
    failure.message = wanted.name + " cannot be raised above this host's " + std::to_string(present.rlim_max) +
                      " without CAP_SYS_RESOURCE";
  }
  return failure;
}

}  // namespace

sys::Result<void> set_rlimits(const std::vector<Rlimit>& limits) {
  bool files = false;
  for (const Rlimit& limit : limits) {
    files = files || limit.resource == RLIMIT_NOFILE;
    SYS_TRY(set_one(limit));
  }
  rlimit present{};
  if (files || getrlimit(RLIMIT_NOFILE, &present) != 0) return {};
  present.rlim_cur = std::min(kDefaultFiles, present.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &present) != 0) return sys::errno_error("rlimit RLIMIT_NOFILE");
  return {};
}

}  // namespace jail
