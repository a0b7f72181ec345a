#include "jail/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <iterator>

namespace jail {
namespace {

struct Attribute {
  const char* name;
  bool clears;
  uint64_t bits;
};

constexpr Attribute kAttributes[] = {
    {"ro", false, MOUNT_ATTR_RDONLY},
    {"rw", true, MOUNT_ATTR_RDONLY},
    {"nosuid", false, MOUNT_ATTR_NOSUID},
    {"suid", true, MOUNT_ATTR_NOSUID},
    {"nodev", false, MOUNT_ATTR_NODEV},
    {"dev", true, MOUNT_ATTR_NODEV},
    {"noexec", false, MOUNT_ATTR_NOEXEC},
    {"exec", true, MOUNT_ATTR_NOEXEC},
    {"nodiratime", false, MOUNT_ATTR_NODIRATIME},
    {"diratime", true, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", false, 0x00200000},
    {"symfollow", true, 0x00200000},
    {"noatime", false, MOUNT_ATTR_NOATIME},
    {"atime", true, MOUNT_ATTR_NOATIME},
    {"strictatime", false, MOUNT_ATTR_STRICTATIME},
    {"nostrictatime", true, MOUNT_ATTR_STRICTATIME},
    {"relatime", true, MOUNT_ATTR__ATIME},
    {"norelatime", false, MOUNT_ATTR_STRICTATIME},
};

struct Propagation {
  const char* name;
  uint64_t type;
  bool recursive;
};

constexpr Propagation kPropagations[] = {
    {"private", MS_PRIVATE, false},       {"rprivate", MS_PRIVATE, true},       {"shared", MS_SHARED, false},
    {"rshared", MS_SHARED, true},         {"slave", MS_SLAVE, false},           {"rslave", MS_SLAVE, true},
    {"unbindable", MS_UNBINDABLE, false}, {"runbindable", MS_UNBINDABLE, true},
};

void apply(const Attribute& attribute, uint64_t& set, uint64_t& clear) {
  if ((attribute.bits & MOUNT_ATTR__ATIME) != 0) {
    // The access time modes are one field, not bits: the kernel wants the whole of it cleared before a mode is set.
    set &= ~static_cast<uint64_t>(MOUNT_ATTR__ATIME);
    clear |= MOUNT_ATTR__ATIME;
    if (!attribute.clears) set |= attribute.bits;
    return;
  }
  if (attribute.clears) {
    clear |= attribute.bits;
    set &= ~attribute.bits;
  } else {
    set |= attribute.bits;
    clear &= ~attribute.bits;
  }
}

bool take_attribute(const std::string& option, MountOptions& result) {
  const auto named = [](const std::string& name) {
    return std::find_if(std::begin(kAttributes), std::end(kAttributes),
                        [&](const Attribute& a) { return name == a.name; });
  };
  const auto* plain = named(option);
  if (plain != std::end(kAttributes)) {
    apply(*plain, result.set, result.clear);
    return true;
  }
  if (option.size() < 3 || option[0] != 'r') return false;
  const auto* recursive = named(option.substr(1));
  if (recursive == std::end(kAttributes)) return false;
  apply(*recursive, result.recursive_set, result.recursive_clear);
  return true;
}

bool take_propagation(const std::string& option, MountOptions& result) {
  for (const Propagation& known : kPropagations) {
    if (option != known.name) continue;
    result.propagation = known.type;
    result.recursive_propagation = known.recursive;
    return true;
  }
  return false;
}

}  // namespace

const std::string* MountOptions::find(const std::string& key) const {
  for (const auto& [name, value] : data) {
    if (name == key) return &value;
  }
  return nullptr;
}

MountOptions parse_options(const std::vector<std::string>& options) {
  MountOptions result;
  for (const std::string& option : options) {
    if (option.empty() || option == "bind" || option == "defaults") continue;
    if (option == "rbind") {
      result.recursive_bind = true;
      continue;
    }
    if (take_attribute(option, result) || take_propagation(option, result)) continue;
    const size_t equals = option.find('=');
    if (equals == std::string::npos) {
      result.data.emplace_back(option, std::string());
    } else {
      result.data.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    }
  }
  return result;
}

}  // namespace jail
