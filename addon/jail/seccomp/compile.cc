#include "jail/seccomp/compile.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

#include "jail/seccomp/profile.h"
#include "sys/fd.h"

namespace jail::seccomp {
namespace {

constexpr uint32_t kTreeOptimization = 2;

// The native architecture first. The others are what the same kernel runs besides: 32-bit programs, and x32.
#if defined(__x86_64__)
constexpr uint32_t kArchitectures[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32};
#elif defined(__aarch64__)
constexpr uint32_t kArchitectures[] = {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
#else
#error "unsupported architecture"
#endif

sys::Result<void> check(int status, const char* what) {
  if (status == 0) return {};
  return sys::error("seccomp filter", std::string("cannot add ") + what, -status);
}

// A filter for one architecture. They are built apart and merged at the end, because libseccomp takes a call by bare
// number only in a filter that has no architecture but the native one.
class Filter {
 public:
  explicit Filter(uint32_t architecture) : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM))), architecture_(architecture) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  [[nodiscard]] sys::Result<void> prepare() {
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

  [[nodiscard]] sys::Result<void> add(uint32_t action, const char* call, const scmp_arg_cmp* argument = nullptr) {
    int number = seccomp_syscall_resolve_name(call);
    if (number == __NR_SCMP_ERROR && architecture_ == kArchitectures[0]) number = number_of(call);
    // Unknown to the library: on the native architecture a call that it does not have either, on another one a call
    // newer than the library, which programs of that kind are refused.
    if (number == -1 || number == __NR_SCMP_ERROR) return {};
    return check(seccomp_rule_add_array(context_, action, number, argument != nullptr ? 1 : 0, argument), call);
  }

  [[nodiscard]] sys::Result<void> allow(const char* const* calls, size_t count) {
    for (size_t i = 0; i < count; i++) SYS_TRY(add(SCMP_ACT_ALLOW, calls[i]));
    return {};
  }

  // Takes over all rules of `other`, which is empty afterwards.
  [[nodiscard]] sys::Result<void> merge(Filter& other) {
    SYS_TRY(check(seccomp_merge(context_, other.context_), "architecture"));
    other.context_ = nullptr;
    return {};
  }

  [[nodiscard]] sys::Result<std::string> program() {
    const sys::Fd memory(memfd_create("seccomp", MFD_CLOEXEC));
    if (!memory) return sys::errno_error("memfd_create");
    SYS_TRY(check(seccomp_export_bpf(context_, memory.get()), "export"));
    const off_t size = lseek(memory.get(), 0, SEEK_END);
    if (size <= 0) return sys::errno_error("seccomp export");
    std::string bytes(static_cast<size_t>(size), '\0');
    if (pread(memory.get(), bytes.data(), bytes.size(), 0) != size) return sys::errno_error("seccomp export");
    return bytes;
  }

 private:
  scmp_filter_ctx context_;
  uint32_t architecture_;
};

scmp_arg_cmp comparison(const ArgumentRule& rule) {
  switch (rule.compare) {
    case Compare::kEqual:
      return SCMP_CMP(rule.index, SCMP_CMP_EQ, rule.value, 0);
    case Compare::kLess:
      return SCMP_CMP(rule.index, SCMP_CMP_LT, rule.value, 0);
    case Compare::kMaskedZero:
      break;
  }
  return SCMP_CMP(rule.index, SCMP_CMP_MASKED_EQ, rule.value, 0);
}

sys::Result<void> add_profile(Filter& filter, uint64_t capabilities) {
  for (const Table table : {unconditional_calls(), architecture_calls()}) {
    SYS_TRY(filter.allow(table.calls, table.count));
  }
  size_t count = 0;
  const CapabilityCalls* by_capability = capability_calls(count);
  for (size_t i = 0; i < count; i++) {
    if ((capabilities >> by_capability[i].bit & 1) == 0) continue;
    SYS_TRY(filter.allow(by_capability[i].calls, by_capability[i].count));
  }
  const ArgumentRule* rules = argument_rules(count);
  for (size_t i = 0; i < count; i++) {
    const scmp_arg_cmp argument = comparison(rules[i]);
    SYS_TRY(filter.add(SCMP_ACT_ALLOW, rules[i].call, &argument));
  }
  if ((capabilities >> CAP_SYS_ADMIN & 1) == 0) {
    const scmp_arg_cmp no_namespaces = SCMP_CMP(0, SCMP_CMP_MASKED_EQ, kCloneNamespaceMask, 0);
    SYS_TRY(filter.add(SCMP_ACT_ALLOW, "clone", &no_namespaces));
    // clone3 has its flags in memory, where no filter can look. ENOSYS and not EPERM, so that C libraries fall back to
    // clone.
    SYS_TRY(filter.add(SCMP_ACT_ERRNO(ENOSYS), "clone3"));
  }
  return {};
}

}  // namespace

sys::Result<std::string> compile(uint64_t capabilities) {
  Filter all(kArchitectures[0]);
  SYS_TRY(all.prepare());
  SYS_TRY(add_profile(all, capabilities));
  for (size_t i = 1; i < std::size(kArchitectures); i++) {
    Filter one(kArchitectures[i]);
    SYS_TRY(one.prepare());
    SYS_TRY(add_profile(one, capabilities));
    SYS_TRY(all.merge(one));
  }
  return all.program();
}

}  // namespace jail::seccomp
