#include "jail/spec_process.h"

#include <linux/capability.h>
#include <strings.h>
#include <sys/resource.h>

#include <iterator>
#include <limits>

namespace jail {
namespace {

using sys::Json;
using sys::JsonReader;

// Indexed by number, capabilities(7).
constexpr const char* kCapabilityNames[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

struct NamedLimit {
  const char* name;
  int resource;
};

constexpr NamedLimit kLimits[] = {
    {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},         {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},       {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},       {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

uint64_t read_mask(JsonReader& reader, const Json* sets, const char* name) {
  uint64_t mask = 0;
  for (const std::string& capability : reader.texts(sets, name)) {
    const uint64_t bit = capability_bit(capability);
    if (bit == 0) reader.fail("process.capabilities: unknown capability '" + capability + "'");
    mask |= bit;
  }
  return mask;
}

// OCI has uint64; JavaScript writes RLIM_INFINITY as 18446744073709551615 or as -1.
uint64_t read_limit(JsonReader& reader, const Json* item, const char* name) {
  const Json* value = sys::json_member(item, name);
  if (value == nullptr) return 0;
  if (value->IsUint64()) return value->GetUint64();
  if (value->IsInt64() && value->GetInt64() == -1) return RLIM_INFINITY;
  // 2^64-1 is not exact in a double: JSON.stringify prints 18446744073709552000, which overflows an integer.
  if (value->IsDouble() && value->GetDouble() >= 18446744073709551615.0) return RLIM_INFINITY;
  reader.fail(std::string("process.rlimits: ") + name + " must be a number");
  return 0;
}

void read_rlimits(JsonReader& reader, const Json* process, Process& result) {
  const Json* list = reader.array(process, "rlimits");
  if (list == nullptr) return;
  for (const Json& item : list->GetArray()) {
    Rlimit limit;
    limit.name = reader.text(&item, "type");
    limit.resource = -1;
    for (const NamedLimit& known : kLimits) {
      if (limit.name == known.name) limit.resource = known.resource;
    }
    if (limit.resource < 0) reader.fail("process.rlimits: unknown type '" + limit.name + "'");
    limit.soft = read_limit(reader, &item, "soft");
    limit.hard = read_limit(reader, &item, "hard");
    if (limit.soft > limit.hard) reader.fail("process.rlimits: " + limit.name + ": soft is above hard");
    result.rlimits.push_back(std::move(limit));
  }
}

}  // namespace

uint64_t capability_bit(std::string_view name) {
  if (name.size() > 4 && strncasecmp(name.data(), "CAP_", 4) == 0) name.remove_prefix(4);
  for (size_t i = 0; i < std::size(kCapabilityNames); i++) {
    const std::string_view known = kCapabilityNames[i];
    if (known.size() == name.size() && strncasecmp(known.data(), name.data(), name.size()) == 0)
      return uint64_t{1} << i;
  }
  return 0;
}

void read_process(JsonReader& reader, const Json* process, Process& result) {
  if (process == nullptr) {
    reader.fail("process is missing");
    return;
  }
  result.args = reader.texts(process, "args");
  if (result.args.empty()) reader.fail("process.args must not be empty");
  result.env = reader.texts(process, "env");
  result.cwd = reader.text(process, "cwd", "/");
  if (result.cwd.empty() || result.cwd[0] != '/') reader.fail("process.cwd must be absolute");
  result.terminal = reader.flag(process, "terminal");
  const Json* console = reader.object(process, "consoleSize");
  result.columns = static_cast<uint16_t>(reader.integer(console, "width", 0, 0xffff).value_or(0));
  result.rows = static_cast<uint16_t>(reader.integer(console, "height", 0, 0xffff).value_or(0));

  const Json* user = reader.object(process, "user");
  constexpr int64_t kMaxId = 0xfffffffe;  // 2^32-1 is "no change" to setresuid(2)
  result.uid = static_cast<uid_t>(reader.integer(user, "uid", 0, kMaxId).value_or(0));
  result.gid = static_cast<gid_t>(reader.integer(user, "gid", 0, kMaxId).value_or(0));
  if (const auto umask = reader.integer(user, "umask", 0, 0777)) result.umask = static_cast<mode_t>(*umask);
  if (const Json* groups = reader.array(user, "additionalGids")) {
    for (const Json& group : groups->GetArray()) {
      if (group.IsUint() && group.GetUint() <= kMaxId) {
        result.additional_gids.push_back(group.GetUint());
      } else {
        reader.fail("process.user.additionalGids must be an array of group ids");
      }
    }
  }

  const Json* sets = reader.object(process, "capabilities");
  result.capabilities.bounding = read_mask(reader, sets, "bounding");
  result.capabilities.permitted = read_mask(reader, sets, "permitted");
  result.capabilities.effective = read_mask(reader, sets, "effective");
  read_rlimits(reader, process, result);
  if (const auto score = reader.integer(process, "oomScoreAdj", -1000, 1000)) {
    result.oom_score_adj = static_cast<int>(*score);
  }
  result.no_new_privileges = reader.flag(process, "noNewPrivileges");
}

void read_process_extras(JsonReader& reader, const Json* dinghy, Process& result) {
  if (sys::json_member(dinghy, "user") != nullptr) result.user = reader.text(dinghy, "user");
  result.group_add = reader.texts(dinghy, "groupAdd");
  result.default_home = reader.flag(dinghy, "defaultHome");
  result.seccomp_filter = reader.text(dinghy, "seccompFilter");
}

sys::Result<Process> parse_process(std::string_view json) {
  rapidjson::Document document;
  SYS_TRY(sys::parse_json(document, json));
  if (!document.IsObject()) return sys::error("process", "must be an object", EINVAL);
  JsonReader reader("process");
  Process process;
  read_process(reader, &document, process);
  SYS_TRY(reader.done());
  return process;
}

}  // namespace jail
