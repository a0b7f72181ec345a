#include "supervisor/state.h"

#include <fcntl.h>

#include "supervisor/json_text.h"
#include "sys/json.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kFileName = "state.json";
constexpr size_t kMaxStateSize = 1 << 20;

const char* status_name(Status status) {
  switch (status) {
    case Status::kCreated:
      return "created";
    case Status::kRunning:
      return "running";
    case Status::kPaused:
      return "paused";
    case Status::kRestarting:
      return "restarting";
    case Status::kStopped:
      return "stopped";
  }
  return "stopped";
}

std::string ports_json(const std::vector<net::Port>& ports) {
  std::string text = "[";
  for (const net::Port& port : ports) {
    if (text.size() > 1) text += ",";
    JsonText json;
    json.put("hostAddress", port.host_address).put("hostPort", int{port.host_port});
    json.put("containerPort", int{port.container_port});
    json.put("protocol", port.protocol == net::Protocol::kUdp ? "udp" : "tcp");
    text += json.text();
  }
  return text + "]";
}

}  // namespace

const char* health_name(Health health) {
  switch (health) {
    case Health::kNone:
      return "none";
    case Health::kStarting:
      return "starting";
    case Health::kHealthy:
      return "healthy";
    case Health::kUnhealthy:
      break;
  }
  return "unhealthy";
}

std::string state_json(const State& state) {
  JsonText json;
  json.put("ociVersion", state.oci_version).put("id", state.id).put("status", status_name(state.status));
  json.put("pid", state.pid).put("bundle", state.bundle);
  if (!state.started_at.empty()) json.put("startedAt", state.started_at);
  if (!state.finished_at.empty()) json.put("finishedAt", state.finished_at);
  if (state.exit_code) json.put("exitCode", *state.exit_code);
  if (state.signal != 0) json.put("signal", state.signal);
  json.put("oomKilled", state.oom_killed);
  if (state.oom_kills > 0) json.put("oomKills", state.oom_kills);
  if (!state.error.empty()) json.put("error", state.error);
  if (state.log_lost > 0) json.put("logLost", state.log_lost);
  json.put("runs", state.runs).put("restartCount", state.restart_count);
  if (state.manually_stopped) json.put("manuallyStopped", true);
  if (state.health != Health::kNone) json.put("health", health_name(state.health));
  json.put("supervisorPid", state.supervisor_pid);
  json.put("bootId", state.boot_id).put_raw("ports", ports_json(state.ports));
  if (!state.address.empty()) json.put("address", state.address);
  return json.text();
}

sys::Result<void> write_state(const State& state, bool sync) {
  const sys::Fd folder(open(state.bundle.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return sys::errno_error("open", state.bundle);
  return sys::replace_file(folder.get(), kFileName, state_json(state), 0600, sync);
}

void load_previous(State& state) {
  auto text = sys::read_file(state.bundle + "/" + kFileName, kMaxStateSize);
  rapidjson::Document document;
  if (!text || !sys::parse_json(document, *text)) return;
  sys::JsonReader reader(kFileName);
  const std::string status = reader.text(&document, "status");
  if (status.empty() || status == "created") return;
  // Whatever it says: we hold the lock, so nobody supervises it, and it does not run.
  state.status = Status::kStopped;
  state.started_at = reader.text(&document, "startedAt");
  state.runs = static_cast<int>(reader.integer(&document, "runs", 0, 1 << 30).value_or(0));
  state.log_lost = static_cast<uint64_t>(reader.integer(&document, "logLost", 0, int64_t{1} << 53).value_or(0));
  state.restart_count = static_cast<int>(reader.integer(&document, "restartCount", 0, 1 << 30).value_or(0));
  state.manually_stopped = reader.flag(&document, "manuallyStopped");
  // Of a supervisor that was killed it tells how an earlier run ended: nobody knows how the last one did.
  if (status != "stopped") return;
  state.finished_at = reader.text(&document, "finishedAt");
  state.signal = static_cast<int>(reader.integer(&document, "signal", 0, 64).value_or(0));
  state.oom_killed = reader.flag(&document, "oomKilled");
  if (const auto code = reader.integer(&document, "exitCode", 0, 255)) state.exit_code = static_cast<int>(*code);
  // Without a code its supervisor was killed, or it never ran: the reason stays.
  if (!state.exit_code) state.error = reader.text(&document, "error");
}

}  // namespace supervisor
