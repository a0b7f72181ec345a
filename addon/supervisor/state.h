// What is known about the container: state.json, and the answer to `state`.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/network.h"
#include "sys/result.h"

namespace supervisor {

enum class Status { kCreated, kRunning, kPaused, kRestarting, kStopped };

// What its health check has found; kNone without one.
enum class Health { kNone, kStarting, kHealthy, kUnhealthy };
const char* health_name(Health health);

struct State {
  std::string oci_version;
  std::string id;
  std::string bundle;
  Status status = Status::kCreated;
  pid_t pid = 0;  // of init, as /proc of this host shows it; 0 unless running
  std::string started_at;
  // How it last ended. Kept while it runs again, so that whoever waited for that end still learns of it.
  std::string finished_at;
  std::optional<int> exit_code;  // 128 + signal when a signal ended it
  int signal = 0;
  bool oom_killed = false;
  uint64_t oom_kills = 0;         // in this run, whoever of it was killed
  std::string error;              // why the last start failed
  uint64_t log_lost = 0;          // bytes of output that could not be written (a full disk)
  int runs = 0;                   // how often its program was started, by whomever
  int restart_count = 0;          // how often by its policy, since somebody started it
  bool manually_stopped = false;  // somebody ended it, and nobody has started it since
  Health health = Health::kNone;
  pid_t supervisor_pid = 0;
  std::string boot_id;
  std::vector<net::Port> ports;  // as they are bound
  std::string address;
};

// The JSON text; `status` in the OCI's words.
std::string state_json(const State& state);

// <bundle>/state.json holds `state`, atomically; with `sync` it survives a power cut.
sys::Result<void> write_state(const State& state, bool sync);

// What an earlier supervisor of this container left about the end of its process: a container that is started again
// keeps it until then.
void load_previous(State& state);

}  // namespace supervisor
