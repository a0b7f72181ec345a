#include "net/forwarding.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "sys/fd.h"

namespace net {
namespace {

constexpr const char* kForward = "/proc/sys/net/ipv4/ip_forward";

sys::Result<bool> is_forwarding() {
  sys::Fd fd(open(kForward, O_RDONLY | O_CLOEXEC));
  char digit = 0;
  if (!fd || read(fd.get(), &digit, 1) != 1) return sys::errno_error("read net.ipv4.ip_forward", kForward);
  return digit != '0';
}

sys::Result<void> set_alias(Netlink& socket, std::string_view name, std::string_view alias) {
  Batch batch;
  begin_set_link(batch, "mark bridge", name, false);
  batch.attribute(IFLA_IFALIAS, alias.data(), alias.size());
  return socket.talk(batch);
}

}  // namespace

// flock works on a file of /proc/sys/net as on any other, the file is another one in every network namespace, and only
// root may open this one: nobody else can hold it.
sys::Fd lock_forwarding() {
  sys::Fd fd(open("/proc/sys/net/ipv4/route/flush", O_WRONLY | O_CLOEXEC));
  while (fd && flock(fd.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
  return fd;
}

bool is_our_bridge(const Link& link) {
  return link.kind == "bridge" && (link.alias == kBridgeAlias || link.alias == kForwardingAlias);
}

sys::Result<void> write_sysctl(const char* path, std::string_view value) {
  sys::Fd fd(open(path, O_WRONLY | O_CLOEXEC));
  if (!fd || write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return sys::errno_error("sysctl", path);
  }
  return {};
}

sys::Result<void> enable_forwarding(Netlink& socket, std::string_view bridge) {
  // The bridge exists by now, so that one who holds this lock to switch forwarding off has either seen it or is waited
  // for here.
  sys::Fd lock = lock_forwarding();
  auto on = is_forwarding();
  if (!on) return on.take_failure();
  if (*on) return {};
  // First the memory, then the deed: killed in between, we would put back what is already there.
  SYS_TRY(set_alias(socket, bridge, kForwardingAlias));
  return write_sysctl(kForward, "1");
}

sys::Result<void> delete_bridge(Netlink& socket, const Link& bridge, std::string_view port) {
  sys::Fd lock = lock_forwarding();
  auto links = list_links(socket);
  if (!links) return links.take_failure();
  // As it is under the lock: another bridge's end may have handed the duty on to this one since the caller looked.
  bool must_restore = false;
  const Link* heir = nullptr;
  bool has_others = false;
  for (const Link& link : *links) {
    if (link.kind != "bridge") continue;
    if (link.index == bridge.index) {
      must_restore = link.alias == kForwardingAlias;
      continue;
    }
    has_others = true;
    if (is_our_bridge(link)) heir = &link;
  }
  // A bridge of another engine that came while ours was there found forwarding on and relies on it (Docker and libvirt
  // look only when they start): then it stays on.
  if (must_restore && heir) SYS_TRY(set_alias(socket, heir->name, kForwardingAlias));
  if (must_restore && !has_others) SYS_TRY(write_sysctl(kForward, "0"));
  return delete_links(socket, {port, bridge.name});
}

}  // namespace net
