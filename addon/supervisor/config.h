// What <bundle>/config.json says: the OCI specification for jail, and the `dinghy` section for the supervisor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jail/jail.h"
#include "jail/spec.h"
#include "supervisor/network_config.h"
#include "supervisor/restart_policy.h"
#include "supervisor/volume_users.h"
#include "sys/json.h"
#include "sys/result.h"

namespace supervisor {

struct LogConfig {
  std::string path;
  uint64_t max_size = 0;  // bytes; 0: never rotated
  int max_files = 1;      // the current one included
};

// A health check, every default filled in.
struct HealthConfig {
  std::vector<std::string> args;
  int64_t interval_ms = 30000;
  int64_t timeout_ms = 30000;
  int64_t start_period_ms = 0;
  int64_t start_interval_ms = 5000;
  int retries = 3;
};

// A folder that was written in, `from`, and the name it has as a layer, `to`.
struct Freezing {
  std::string from;
  std::string to;
};

struct RootlessConfig {
  uid_t uid = 0;
  gid_t gid = 0;
  std::optional<jail::IdRange> subuid;
  std::optional<jail::IdRange> subgid;
};

// Detached supervisors live here: in their creator's cgroup a restart of its service would kill them.
constexpr const char* kSupervisorsCgroup = "/dinghy/supervisors";

struct Config {
  jail::Spec spec;
  std::string bundle;
  std::string oci_version;
  std::string id;
  std::string name;  // what people call it
  bool detached = false;
  bool shared = false;  // held by several processes
  bool auto_remove = false;
  RestartConfig restart;
  std::optional<HealthConfig> health;
  LogConfig log;
  bool open_stdin = false;
  int stop_signal = 15;
  int64_t stop_timeout_ms = 10000;
  NetworkConfig network;
  std::optional<RootlessConfig> rootless;
  std::vector<jail::Namespace> namespaces_as_written;  // the supervisor puts its own into spec.namespaces
  std::string seccomp_filter;                          // as written: exec uses the same
  std::vector<std::string> release;
  std::vector<std::string> trees;
  AnonymousVolumes volumes;
  std::vector<Freezing> freezing;  // decided, and done by finish_freezing()
};

// `json` is the content of config.json. Its errors are of step "config.json" and name the property.
sys::Result<Config> parse_config(std::string_view json);

// The member `restart` of an object: {policy, maxRetries?}; without it, no restart.
RestartConfig parse_restart(sys::JsonReader& reader, const sys::Json* parent);

// The member `rootless` of an object, if it has one.
std::optional<RootlessConfig> parse_rootless(sys::JsonReader& reader, const sys::Json* parent);

// The configuration of the bundle's folder.
sys::Result<Config> read_config(const std::string& bundle);

}  // namespace supervisor
