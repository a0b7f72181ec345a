#include "jail/seccomp/filter.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "jail/seccomp/profile.h"
#include "sys/fd.h"

namespace jail::seccomp {
namespace {

constexpr uint32_t kTreeOptimization = 2;

sys::Result<void> check(int status, const char* what) {
  if (status == 0) return {};
  return sys::error("seccomp filter", std::string("cannot add ") + what, -status);
}

}  // namespace

sys::Result<void> Filter::prepare() {
  if (context_ == nullptr) return sys::errno_error("seccomp filter", {}, ENOMEM);
  // A call of an architecture that is not listed gives EPERM like any other, rather than killing the process.
  SYS_TRY(check(seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM)), "bad architecture"));
  // no_new_privs is the runtime's decision, not the filter's.
  SYS_TRY(check(seccomp_attr_set(context_, SCMP_FLTATR_CTL_NNP, 0), "no_new_privs"));
  SYS_TRY(check(seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, kTreeOptimization), "optimize"));
  if (architecture_ == kArchitectures[0]) return {};
  SYS_TRY(check(seccomp_arch_add(context_, architecture_), "architecture"));
  return check(seccomp_arch_remove(context_, SCMP_ARCH_NATIVE), "architecture");
}

sys::Result<void> Filter::add(uint32_t action, const char* call, const std::vector<scmp_arg_cmp>& arguments) {
  int number = seccomp_syscall_resolve_name(call);
  if (number == __NR_SCMP_ERROR && architecture_ == kArchitectures[0]) number = number_of(call);
  // Unknown to the library: on the native architecture a call that it does not have either, on another one a call
  // newer than the library, which programs of that kind are refused.
  if (number == -1 || number == __NR_SCMP_ERROR) return {};
  return check(
      seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(arguments.size()), arguments.data()),
      call);
}

sys::Result<void> Filter::merge(Filter& other) {
  SYS_TRY(check(seccomp_merge(context_, other.context_), "architecture"));
  other.context_ = nullptr;
  return {};
}

sys::Result<std::string> Filter::program() {
  const sys::Fd memory(memfd_create("seccomp", MFD_CLOEXEC));
  if (!memory) return sys::errno_error("memfd_create");
  SYS_TRY(check(seccomp_export_bpf(context_, memory.get()), "export"));
  const off_t size = lseek(memory.get(), 0, SEEK_END);
  if (size <= 0) return sys::errno_error("seccomp export");
  std::string bytes(static_cast<size_t>(size), '\0');
  if (pread(memory.get(), bytes.data(), bytes.size(), 0) != size) return sys::errno_error("seccomp export");
  return bytes;
}

}  // namespace jail::seccomp
