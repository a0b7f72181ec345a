#include "supervisor/host_probe.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "jail/jail.h"
#include "supervisor/host.h"
#include "sys/bytes.h"
#include "sys/kernel.h"
#include "sys/tree.h"

namespace supervisor {
namespace {

constexpr size_t kMaxReport = 4096;

sys::Result<void> write_probe_file(const std::string& path) {
  const sys::Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return sys::errno_error("create", path);
  return {};
}

sys::Result<void> configure(int context, const char* key, const std::string& value) {
  if (sys::fsconfig(context, FSCONFIG_SET_STRING, key, value.c_str(), 0) < 0)
    return sys::errno_error("overlay option " + std::string(key));
  return {};
}

// The mount is attached nowhere: it ends with its descriptor.
sys::Result<void> try_overlay(const std::string& lower, const std::string& upper, bool userxattr) {
  for (const char* name : {"upper", "work"}) {
    if (mkdir((upper + "/" + name).c_str(), 0700) < 0) return sys::errno_error("mkdir", upper);
  }
  SYS_TRY(write_probe_file(lower + "/file"));
  const sys::Fd context(sys::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context) return sys::errno_error("fsopen overlay");
  SYS_TRY(configure(context.get(), "lowerdir", lower));
  SYS_TRY(configure(context.get(), "upperdir", upper + "/upper"));
  SYS_TRY(configure(context.get(), "workdir", upper + "/work"));
  if (userxattr && sys::fsconfig(context.get(), FSCONFIG_SET_FLAG, "userxattr", nullptr, 0) < 0) {
    return sys::errno_error("overlay option userxattr");
  }
  if (sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
    return sys::errno_error("mount overlay");
  const sys::Fd mount(sys::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  if (!mount) return sys::errno_error("fsmount overlay");
  // Deleting makes a whiteout, which is where file systems that are unfit as an upper fail.
  if (unlinkat(mount.get(), "file", 0) < 0) return sys::errno_error("delete a file in an overlay");
  return {};
}

sys::Result<std::string> temporary_folder(const std::string& base) {
  std::string path = base + "/.probe-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return sys::errno_error("mkdtemp", base);
  return path;
}

std::string overlay_reason(const sys::Error& failure, const std::string& upper) {
  std::string reason = failure.step + ": " + describe(failure);
  if (failure.err == EINVAL)
    reason += "; the file system of " + upper + " cannot be an overlay's upper one (another overlay, NFS)";
  if (failure.err == ENODEV) reason += "; the kernel has no overlay file system: load the module overlay";
  if (failure.err == EPERM) reason += "; mounting needs CAP_SYS_ADMIN, or a user namespace";
  return reason;
}

Capability verdict(const sys::Result<void>& result, const std::string& reason) {
  return result ? Capability{true, {}} : Capability{false, reason};
}

sys::Result<void> enter_own_user_namespace() {
  SYS_TRY(jail::enter_user_namespace(geteuid(), getegid(), nullptr, nullptr));
  if (unshare(CLONE_NEWNS) < 0) return sys::errno_error("unshare mount namespace");
  return {};
}

}  // namespace

sys::Result<void> in_child(const std::function<sys::Result<void>()>& attempt) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return sys::errno_error("pipe2");
  const sys::Fd out(ends[0]);
  sys::Fd in(ends[1]);
  const pid_t child = fork();
  if (child < 0) return sys::errno_error("fork");
  if (child == 0) {
    const auto result = attempt();
    if (!result) {
      const int number = result.failure().err;
      (void)sys::write_all(in.get(), &number, sizeof number).ok();
      (void)sys::write_all(in.get(), result.failure().step).ok();
    }
    _exit(result ? 0 : 1);
  }
  in.reset();
  auto report = sys::read_all(out.get(), kMaxReport);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  int number = 0;
  if (!report || report->size() < sizeof number) return sys::error("probe", "the probing process died", EIO);
  std::memcpy(&number, report->data(), sizeof number);
  return sys::errno_error(report->substr(sizeof number), {}, number);
}

Capability probe_overlay(const std::string& lower_base, const std::string& upper_base, bool userxattr) {
  auto lower = temporary_folder(lower_base);
  if (!lower) return {false, lower.failure().step + " " + lower_base + ": " + describe(lower.failure())};
  auto upper = temporary_folder(upper_base);
  Capability capability;
  if (!upper) {
    capability.reason = upper.failure().step + " " + upper_base + ": " + describe(upper.failure());
  } else {
    const auto result = in_child([&]() -> sys::Result<void> {
      if (geteuid() != 0) SYS_TRY(enter_own_user_namespace());
      return try_overlay(*lower, *upper, userxattr);
    });
    capability = verdict(result, result ? std::string() : overlay_reason(result.failure(), upper_base));
    (void)sys::remove_tree(*upper).ok();
  }
  (void)sys::remove_tree(*lower).ok();
  return capability;
}

Capability probe_user_namespace() {
  const auto result = in_child([]() -> sys::Result<void> {
    SYS_TRY(enter_own_user_namespace());
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return sys::errno_error("make mounts private");
    return {};
  });
  if (result) return {true, {}};
  std::string reason = result.failure().step + ": " + describe(result.failure());
  if (result.failure().err == ENOSPC) reason += "; raise the sysctl user.max_user_namespaces";
  if (result.failure().err == EPERM) reason += "; set the sysctl kernel.unprivileged_userns_clone to 1";
  if (result.failure().err == EACCES) {
    reason +=
        "; AppArmor refuses it: set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0, or install a profile "
        "that allows userns";
  }
  return {false, reason};
}

Capability probe_nf_tables() {
  const sys::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return {false, std::string("netfilter socket: ") + strerror(errno)};
  struct {
    nlmsghdr header;
    nfgenmsg generic;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  alignas(nlmsghdr) char answer[4096];
  const timeval patience{1, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (send(socket.get(), &request, sizeof request, 0) < 0) return {false, std::string("nf_tables: ") + strerror(errno)};
  const ssize_t size = recv(socket.get(), answer, sizeof answer, 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
  if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) return {false, std::string("nf_tables: ") + strerror(errno)};
  if (header->nlmsg_type != NLMSG_ERROR) return {true, {}};
  const int number = -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
  return {number == 0,
          number == 0 ? "" : std::string("nf_tables: ") + strerror(number) + "; load the module nf_tables"};
}

}  // namespace supervisor
