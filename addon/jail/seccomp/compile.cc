#include "jail/seccomp/compile.h"

#include <linux/capability.h>

#include <cerrno>
#include <iterator>

#include "jail/seccomp/filter.h"
#include "jail/seccomp/profile.h"

namespace jail::seccomp {
namespace {

constexpr uint32_t kOtherwise = SCMP_ACT_ERRNO(EPERM);

sys::Result<void> allow(Filter& filter, const char* const* calls, size_t count) {
  for (size_t i = 0; i < count; i++) SYS_TRY(filter.add(SCMP_ACT_ALLOW, calls[i]));
  return {};
}

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
    SYS_TRY(allow(filter, table.calls, table.count));
  }
  size_t count = 0;
  const CapabilityCalls* by_capability = capability_calls(count);
  for (size_t i = 0; i < count; i++) {
    if ((capabilities >> by_capability[i].bit & 1) == 0) continue;
    SYS_TRY(allow(filter, by_capability[i].calls, by_capability[i].count));
  }
  const ArgumentRule* rules = argument_rules(count);
  for (size_t i = 0; i < count; i++) {
    SYS_TRY(filter.add(SCMP_ACT_ALLOW, rules[i].call, {comparison(rules[i])}));
  }
  if ((capabilities >> CAP_SYS_ADMIN & 1) == 0) {
    const scmp_arg_cmp no_namespaces = SCMP_CMP(0, SCMP_CMP_MASKED_EQ, kCloneNamespaceMask, 0);
    SYS_TRY(filter.add(SCMP_ACT_ALLOW, "clone", {no_namespaces}));
    // clone3 has its flags in memory, where no filter can look. ENOSYS and not EPERM, so that C libraries fall back to
    // clone.
    SYS_TRY(filter.add(SCMP_ACT_ERRNO(ENOSYS), "clone3"));
  }
  return {};
}

}  // namespace

sys::Result<std::string> compile(uint64_t capabilities) {
  Filter all(kArchitectures[0], kOtherwise);
  SYS_TRY(all.prepare());
  SYS_TRY(add_profile(all, capabilities));
  for (size_t i = 1; i < std::size(kArchitectures); i++) {
    Filter one(kArchitectures[i], kOtherwise);
    SYS_TRY(one.prepare());
    SYS_TRY(add_profile(one, capabilities));
    SYS_TRY(all.merge(one));
  }
  return all.program();
}

}  // namespace jail::seccomp
