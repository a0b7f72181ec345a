#include "layer/start_places.h"

#include <algorithm>

namespace layer {
namespace {

constexpr std::string_view kMadeByStart[] = {
    "dev",          "dev/console", "dev/mqueue",      "dev/pts", "dev/shm", "etc",
    "etc/hostname", "etc/hosts",   "etc/resolv.conf", "proc",    "sys",
};

}  // namespace

bool made_by_start(std::string_view path, const struct stat& status) {
  if (std::find(std::begin(kMadeByStart), std::end(kMadeByStart), path) == std::end(kMadeByStart)) return false;
  return S_ISDIR(status.st_mode) || (S_ISREG(status.st_mode) && status.st_size == 0);
}

}  // namespace layer
