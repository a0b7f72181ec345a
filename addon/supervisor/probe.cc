#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "jail/cgroup.h"
#include "supervisor/handshake.h"
#include "supervisor/host_probe.h"
#include "supervisor/json_text.h"
#include "supervisor/modes.h"
#include "supervisor/process.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr size_t kMaxStatus = 65536;

std::string capability_json(const Capability& capability) {
  JsonText json;
  json.put("usable", capability.usable);
  if (!capability.usable) json.put("reason", capability.reason);
  return json.text();
}

// Which controllers limits can be set with, and by which kind of hierarchy.
std::string cgroup_json() {
  JsonText json;
  auto host = jail::CgroupHost::detect();
  if (!host) return json.put("mode", "none").put_raw("controllers", "[]").put("writable", false).text();
  bool v1 = false;
  bool writable = false;
  std::vector<std::string> controllers;
  for (const jail::Hierarchy& hierarchy : host->hierarchies) {
    v1 = v1 || !hierarchy.v2;
    writable = writable || hierarchy.writable;
    controllers.insert(controllers.end(), hierarchy.controllers.begin(), hierarchy.controllers.end());
  }
  std::sort(controllers.begin(), controllers.end());
  controllers.erase(std::unique(controllers.begin(), controllers.end()), controllers.end());
  const bool v2 = host->v2() != nullptr;
  json.put("mode", v2 && v1 ? "hybrid" : v2 ? "v2" : v1 ? "v1" : "none");
  json.put_raw("controllers", json_array(controllers)).put("writable", writable);
  return json.text();
}

// The effective set as /proc/self/status has it: 16 hexadecimal digits.
std::string effective_capabilities() {
  auto status = sys::read_file("/proc/self/status", kMaxStatus);
  const size_t at = status ? status->find("CapEff:\t") : std::string::npos;
  return at == std::string::npos ? std::string() : status->substr(at + 8, 16);
}

sys::Result<std::string> probe(const Request& request) {
  if (request.op != "probe") return sys::error("probe", "the only request is probe", EPROTO);
  sys::JsonReader reader("probe");
  const std::string root = reader.text(&request.document, "root");
  const std::string state = reader.text(&request.document, "state");
  SYS_TRY(reader.done());
  utsname name{};
  uname(&name);
  JsonText json;
  json.put("kernel", name.release).put("machine", name.machine).put("uid", int64_t{geteuid()});
  json.put("capabilities", effective_capabilities());
  json.put_raw("overlay", capability_json(probe_overlay(root, root, false)));
  json.put_raw("overlayUpperInState", capability_json(probe_overlay(root, state, false)));
  json.put_raw("overlayUserxattr", capability_json(probe_overlay(root, root, true)));
  json.put_raw("userNamespaces", capability_json(probe_user_namespace()));
  json.put_raw("nfTables", capability_json(probe_nf_tables()));
  json.put_raw("cgroup", cgroup_json());
  return json.text();
}

}  // namespace

int probe_mode() {
  prepare_process(kControlFd + 1);
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  auto facts = probe(first->request);
  if (!facts) {
    reply_error_now(kControlFd, first->request.id, facts.failure());
    return 1;
  }
  reply_now(kControlFd, first->request.id, *facts);
  return 0;
}

}  // namespace supervisor
