#include "jail/capabilities.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace jail {
namespace {

constexpr int kMaxCapabilities = 64;

// What this process has, which is all that it can keep.
sys::Result<uint64_t> own_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return sys::errno_error("capget");
  return data[0].permitted | uint64_t{data[1].permitted} << 32U;
}

// Of those that exist: the kernel says EINVAL beyond its last one. One that was dropped before may be dropped again.
sys::Result<void> limit_bounding_set(uint64_t wanted) {
  for (int capability = 0; capability < kMaxCapabilities; capability++) {
    if ((wanted & uint64_t{1} << static_cast<unsigned>(capability)) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) break;
    // Without CAP_SETPCAP nothing can be dropped, and nothing needs to be where it is gone already.
    if (errno == EPERM && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 0) continue;
    return sys::errno_error("drop capabilities");
  }
  return {};
}

sys::Result<void> set_capabilities(uint64_t effective, uint64_t permitted) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (unsigned i = 0; i < 2; i++) {
    data[i].effective = static_cast<uint32_t>(effective >> (32 * i));
    data[i].permitted = static_cast<uint32_t>(permitted >> (32 * i));
  }
  if (syscall(SYS_capset, &header, data) != 0) return sys::errno_error("capset");
  return {};
}

// EINVAL from any of these means that the number has no place in the user namespace's map.
sys::Error id_error(const char* step, uint32_t id) {
  sys::Error failure = sys::errno_error(step);
  if (failure.err == EINVAL) {
    failure.message = "id " + std::to_string(id) +
                      " has no place in this user namespace: give the user a range in /etc/subuid and /etc/subgid";
  }
  return failure;
}

sys::Result<void> set_ids(const Identity& who, bool rootless) {
  if (setgroups(who.groups.size(), who.groups.data()) != 0) {
    const bool only_primary = who.groups.empty() || (who.groups.size() == 1 && who.groups[0] == who.gid);
    if (errno != EPERM || !rootless || !only_primary)
      return id_error("setgroups", who.groups.empty() ? 0 : who.groups.back());
  }
  if (setresgid(who.gid, who.gid, who.gid) != 0) return id_error("setresgid", who.gid);
  if (setresuid(who.uid, who.uid, who.uid) != 0) return id_error("setresuid", who.uid);
  return {};
}

}  // namespace

sys::Result<void> become(const Identity& who, const Capabilities& wanted, bool rootless) {
  auto own = own_capabilities();
  if (!own) return own.take_failure();
  SYS_TRY(limit_bounding_set(wanted.bounding));
  // Otherwise leaving uid 0 clears the permitted set before the wanted part can be kept.
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return sys::errno_error("keep capabilities");
  SYS_TRY(set_ids(who, rootless));
  const uint64_t permitted = wanted.permitted & *own & wanted.bounding;
  SYS_TRY(set_capabilities(wanted.effective & permitted, permitted));
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return sys::errno_error("keep capabilities");
  // Gone already with the inheritable set (capabilities(7)); said again, because a mistake here is CVE-2022-24769.
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return sys::errno_error("clear ambient capabilities");
  return {};
}

}  // namespace jail
