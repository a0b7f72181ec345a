#include "jail/seccomp/custom.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <vector>

#include "jail/seccomp/filter.h"

namespace jail::seccomp {
namespace {

constexpr const char* kStep = "seccomp profile";
constexpr int64_t kMaxErrno = 4095;
constexpr int64_t kMaxArguments = 6;

struct NamedArchitecture {
  const char* name;
  uint32_t architecture;
};

constexpr NamedArchitecture kNamedArchitectures[] = {
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},   {"SCMP_ARCH_X86", SCMP_ARCH_X86}, {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64}, {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
};

struct NamedCompare {
  const char* name;
  scmp_compare compare;
};

constexpr NamedCompare kCompares[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

struct Rule {
  std::vector<std::string> names;
  uint32_t action = 0;
  std::vector<std::vector<scmp_arg_cmp>> alternatives;  // one empty one: whatever the arguments
};

struct Profile {
  uint32_t otherwise = 0;
  std::vector<uint32_t> architectures;
  std::vector<Rule> rules;
};

uint32_t read_action(sys::JsonReader& reader, const sys::Json* object, const char* action, const char* number) {
  const std::string name = reader.text(object, action);
  const auto value = static_cast<uint32_t>(reader.integer(object, number, 0, kMaxErrno).value_or(EPERM));
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(value);
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
  if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(value);
  reader.fail(std::string(action) + ": '" + name + "' is not known");
  return SCMP_ACT_KILL_PROCESS;
}

scmp_arg_cmp read_argument(sys::JsonReader& reader, const sys::Json& item) {
  const auto index = static_cast<unsigned>(reader.integer(&item, "index", 0, kMaxArguments - 1).value_or(0));
  const auto value = static_cast<uint64_t>(reader.integer(&item, "value", 0, INT64_MAX).value_or(0));
  const auto second = static_cast<uint64_t>(reader.integer(&item, "valueTwo", 0, INT64_MAX).value_or(0));
  const std::string op = reader.text(&item, "op");
  const auto* known = std::find_if(std::begin(kCompares), std::end(kCompares),
                                   [&op](const NamedCompare& entry) { return op == entry.name; });
  if (known == std::end(kCompares)) {
    reader.fail("args: the comparison '" + op + "' is not known");
    return {};
  }
  return scmp_arg_cmp{index, known->compare, value, second};
}

std::vector<std::vector<scmp_arg_cmp>> read_alternatives(sys::JsonReader& reader, const sys::Json& rule) {
  std::vector<scmp_arg_cmp> arguments;
  std::set<unsigned> indexes;
  const sys::Json* list = reader.array(&rule, "args");
  if (list != nullptr) {
    for (const sys::Json& item : list->GetArray()) {
      arguments.push_back(read_argument(reader, item));
      indexes.insert(arguments.back().arg);
    }
  }
  if (indexes.size() == arguments.size()) return {arguments};
  std::vector<std::vector<scmp_arg_cmp>> apart;
  apart.reserve(arguments.size());
  for (const scmp_arg_cmp& argument : arguments) apart.push_back({argument});
  return apart;
}

Profile read_profile(sys::JsonReader& reader, const sys::Json& json) {
  Profile profile;
  profile.otherwise = read_action(reader, &json, "defaultAction", "defaultErrno");
  for (const std::string& name : reader.texts(&json, "architectures")) {
    const auto* known = std::find_if(std::begin(kNamedArchitectures), std::end(kNamedArchitectures),
                                     [&name](const NamedArchitecture& entry) { return name == entry.name; });
    if (known != std::end(kNamedArchitectures)) profile.architectures.push_back(known->architecture);
  }
  const sys::Json* rules = reader.array(&json, "rules");
  if (rules == nullptr) return profile;
  for (const sys::Json& item : rules->GetArray()) {
    Rule rule;
    rule.names = reader.texts(&item, "names");
    rule.action = read_action(reader, &item, "action", "errno");
    rule.alternatives = read_alternatives(reader, item);
    // libseccomp refuses a rule that says what is said of every call.
    if (rule.action != profile.otherwise) profile.rules.push_back(std::move(rule));
  }
  return profile;
}

sys::Result<void> add_rules(Filter& filter, const Profile& profile) {
  SYS_TRY(filter.prepare());
  for (const Rule& rule : profile.rules) {
    for (const std::string& name : rule.names) {
      for (const auto& arguments : rule.alternatives) SYS_TRY(filter.add(rule.action, name.c_str(), arguments));
    }
  }
  return {};
}

}  // namespace

sys::Result<std::string> compile_custom(const sys::Json& json) {
  sys::JsonReader reader(kStep);
  const Profile profile = read_profile(reader, json);
  SYS_TRY(reader.done());
  Filter all(kArchitectures[0], profile.otherwise);
  SYS_TRY(add_rules(all, profile));
  for (size_t i = 1; i < std::size(kArchitectures); i++) {
    const auto& wanted = profile.architectures;
    if (std::find(wanted.begin(), wanted.end(), kArchitectures[i]) == wanted.end()) continue;
    Filter one(kArchitectures[i], profile.otherwise);
    SYS_TRY(add_rules(one, profile));
    SYS_TRY(all.merge(one));
  }
  return all.program();
}

}  // namespace jail::seccomp
