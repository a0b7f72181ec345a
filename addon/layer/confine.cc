#include "layer/confine.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace layer {
namespace {

sys::Result<void> reduce_capabilities(Capabilities capabilities) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets = {};
  if (syscall(SYS_capget, &header, sets.data()) != 0) return sys::errno_error("capget");
  std::array<uint32_t, 2> kept = {};
  for (const unsigned capability : capabilities) kept[capability / 32] |= 1U << (capability % 32);
  for (size_t half = 0; half < sets.size(); half++) {
    sets[half].permitted &= kept[half];
    sets[half].effective &= kept[half];
    sets[half].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, sets.data()) != 0) return sys::errno_error("capset");
  return {};
}

}  // namespace

sys::Result<void> confine(int folder, Capabilities kept) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::errno_error("no_new_privs");
  if (fchdir(folder) != 0) return sys::errno_error("chdir");
  // A second wall behind openat2; without CAP_SYS_CHROOT (an ordinary user outside a user namespace) the first has to
  // do.
  if (chroot(".") != 0 && errno != EPERM) return sys::errno_error("chroot");
  return reduce_capabilities(kept);
}

}  // namespace layer
