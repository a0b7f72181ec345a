#include "jail/procfs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "sys/kernel.h"

namespace jail {
namespace {

constexpr std::string_view kIpcSysctls[] = {
    "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
    "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
};

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

}  // namespace

sys::Result<sys::Fd> private_procfs() {
  const sys::Fd context(sys::fsopen("proc", FSOPEN_CLOEXEC));
  if (!context) return sys::errno_error("mount /proc");
  if (sys::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", "proc", 0) != 0 ||
      sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return sys::errno_error("mount /proc");
  }
  sys::Fd proc(sys::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(kProcfsAttributes)));
  if (!proc) return sys::errno_error("mount /proc");
  return proc;
}

sys::Result<void> write_procfs(int proc, const std::string& path, std::string_view data) {
  constexpr uint64_t kStrict = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const sys::Fd file(sys::openat2(proc, path.c_str(), O_WRONLY | O_NOFOLLOW, kStrict));
  if (!file) return sys::errno_error("open /proc/" + path);
  struct statfs info {};
  if (fstatfs(file.get(), &info) != 0) return sys::errno_error("statfs /proc/" + path);
  if (info.f_type != PROC_SUPER_MAGIC) return sys::errno_error("open /proc/" + path, {}, EXDEV);
  if (::write(file.get(), data.data(), data.size()) < 0) return sys::errno_error("write /proc/" + path);
  return {};
}

std::string sysctl_path(std::string_view name) {
  // sysctl(8): the separator that comes first is the separator, so that interface names with dots can be written with
  // slashes.
  std::string path(name);
  const size_t first = path.find_first_of("./");
  if (first == std::string::npos) return {};
  if (path[first] == '.') {
    for (char& c : path) {
      if (c == '.') {
        c = '/';
      } else if (c == '/') {
        c = '.';
      }
    }
  }
  // An empty part or a dotted one would climb or name something else than was checked.
  size_t start = 0;
  while (start <= path.size()) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part(path.data() + start, end - start);
    if (part.empty() || part == "." || part == "..") return {};
    start = end + 1;
  }
  const auto valid = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '/' || c == '.' || c == '@';
  };
  if (!std::all_of(path.begin(), path.end(), valid)) return {};
  return path;
}

bool sysctl_allowed(std::string_view path, int namespaces) {
  if (starts_with(path, "net/")) return (namespaces & CLONE_NEWNET) != 0;
  if ((namespaces & CLONE_NEWIPC) == 0) return false;
  if (starts_with(path, "fs/mqueue/")) return true;
  return std::find(std::begin(kIpcSysctls), std::end(kIpcSysctls), path) != std::end(kIpcSysctls);
}

sys::Result<void> set_sysctls(int proc, const Spec& spec) {
  int namespaces = 0;
  for (const Namespace& entry : spec.namespaces) namespaces |= entry.flag;
  for (const auto& [name, value] : spec.sysctls) {
    const std::string path = sysctl_path(name);
    if (path.empty() || !sysctl_allowed(path, namespaces)) {
      return sys::error("sysctl " + name, "'" + name + "' is not one that a container has for itself", EPERM);
    }
    auto written = write_procfs(proc, "sys/" + path, value);
    if (!written) {
      sys::Error failure = written.take_failure();
      failure.step = "sysctl " + name;
      return failure;
    }
  }
  return {};
}

}  // namespace jail
