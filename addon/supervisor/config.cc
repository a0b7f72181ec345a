#include "supervisor/config.h"

#include <climits>

#include "sys/json.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr size_t kMaxConfigSize = 16 << 20;
constexpr int64_t kMaxTimeoutMs = int64_t{1} << 40;
constexpr int kSectionVersion = 1;

std::optional<jail::IdRange> parse_range(sys::JsonReader& reader, const sys::Json* rootless, const char* name) {
  const sys::Json* range = reader.object(rootless, name);
  if (range == nullptr) return std::nullopt;
  jail::IdRange result;
  result.start = static_cast<uid_t>(reader.integer(range, "start", 0, UINT_MAX - 1).value_or(0));
  result.count = static_cast<uid_t>(reader.integer(range, "count", 1, UINT_MAX - 1).value_or(1));
  return result;
}

void parse_log(sys::JsonReader& reader, const sys::Json* section, LogConfig& log) {
  const sys::Json* object = reader.object(section, "log");
  log.path = reader.text(object, "path");
  log.max_size = static_cast<uint64_t>(reader.integer(object, "maxSize", 0, INT64_MAX).value_or(0));
  log.max_files = static_cast<int>(reader.integer(object, "maxFiles", 1, 1000).value_or(1));
  if (log.path.empty()) reader.fail("dinghy.log.path is missing");
}

std::optional<HealthConfig> parse_health(sys::JsonReader& reader, const sys::Json* section) {
  const sys::Json* object = reader.object(section, "health");
  if (object == nullptr) return std::nullopt;
  HealthConfig health;
  const auto time = [&](const char* name, int64_t lowest, int64_t& value) {
    value = reader.integer(object, name, lowest, kMaxTimeoutMs).value_or(value);
  };
  health.args = reader.texts(object, "args");
  time("intervalMs", 1, health.interval_ms);
  time("timeoutMs", 1, health.timeout_ms);
  time("startPeriodMs", 0, health.start_period_ms);
  time("startIntervalMs", 1, health.start_interval_ms);
  health.retries = static_cast<int>(reader.integer(object, "retries", 1, INT_MAX).value_or(health.retries));
  if (health.args.empty()) reader.fail("dinghy.health.args must not be empty");
  return health;
}

void parse_freezing(sys::JsonReader& reader, const sys::Json* section, Config& config) {
  const sys::Json* list = reader.array(section, "freezing");
  if (list == nullptr) return;
  for (const sys::Json& entry : list->GetArray()) {
    Freezing freezing{reader.text(&entry, "from"), reader.text(&entry, "to")};
    if (!freezing.from.starts_with('/') || !freezing.to.starts_with('/')) {
      return reader.fail("dinghy.freezing: from and to must be absolute");
    }
    config.freezing.push_back(std::move(freezing));
  }
}

void parse_section(sys::JsonReader& reader, const sys::Json* section, Config& config) {
  if (reader.integer(section, "version", INT_MIN, INT_MAX).value_or(0) != kSectionVersion) {
    reader.fail("dinghy.version: this binary knows only " + std::to_string(kSectionVersion));
  }
  config.id = reader.text(section, "id");
  if (config.id.size() < 12) reader.fail("dinghy.id is missing or too short");
  config.name = reader.text(section, "name");
  config.detached = reader.flag(section, "detached");
  config.shared = reader.flag(section, "shared");
  config.auto_remove = reader.flag(section, "autoRemove");
  config.restart = parse_restart(reader, section);
  config.health = parse_health(reader, section);
  parse_log(reader, section, config.log);
  config.open_stdin = reader.flag(section, "stdin");
  const sys::Json* stop = reader.object(section, "stop");
  config.stop_signal = static_cast<int>(reader.integer(stop, "signal", 1, 64).value_or(config.stop_signal));
  config.stop_timeout_ms = reader.integer(stop, "timeoutMs", 0, kMaxTimeoutMs).value_or(config.stop_timeout_ms);
  config.network = parse_network(reader, section);
  config.rootless = parse_rootless(reader, section);
  config.seccomp_filter = reader.text(section, "seccompFilter");
  config.release = reader.texts(section, "release");
  config.trees = reader.texts(section, "trees");
  config.volumes = parse_anonymous_volumes(reader, section);
  parse_freezing(reader, section, config);
}

}  // namespace

RestartConfig parse_restart(sys::JsonReader& reader, const sys::Json* parent) {
  RestartConfig config;
  const sys::Json* restart = reader.object(parent, "restart");
  const std::string policy = reader.text(restart, "policy", "no");
  if (policy == "always") {
    config.policy = RestartConfig::Policy::kAlways;
  } else if (policy == "unless-stopped") {
    config.policy = RestartConfig::Policy::kUnlessStopped;
  } else if (policy == "on-failure") {
    config.policy = RestartConfig::Policy::kOnFailure;
  } else if (policy != "no") {
    reader.fail("restart: the policy " + policy + " is not known");
  }
  config.max_retries = static_cast<int>(reader.integer(restart, "maxRetries", 0, INT_MAX).value_or(0));
  return config;
}

std::optional<RootlessConfig> parse_rootless(sys::JsonReader& reader, const sys::Json* parent) {
  const sys::Json* rootless = reader.object(parent, "rootless");
  if (rootless == nullptr) return std::nullopt;
  RootlessConfig ids;
  ids.uid = static_cast<uid_t>(reader.integer(rootless, "uid", 0, UINT_MAX - 1).value_or(0));
  ids.gid = static_cast<gid_t>(reader.integer(rootless, "gid", 0, UINT_MAX - 1).value_or(0));
  ids.subuid = parse_range(reader, rootless, "subuid");
  ids.subgid = parse_range(reader, rootless, "subgid");
  return ids;
}

sys::Result<Config> parse_config(std::string_view json) {
  Config config;
  auto spec = jail::parse_spec(json);
  if (!spec) return spec.take_failure();
  config.spec = std::move(*spec);
  config.namespaces_as_written = config.spec.namespaces;

  rapidjson::Document document;
  SYS_TRY(sys::parse_json(document, json));
  sys::JsonReader reader("config.json");
  config.oci_version = reader.text(&document, "ociVersion");
  const sys::Json* section = reader.object(&document, "dinghy");
  if (section == nullptr) return sys::error("config.json", "the property dinghy is missing");
  parse_section(reader, section, config);
  SYS_TRY(reader.done());
  return config;
}

sys::Result<Config> read_config(const std::string& bundle) {
  auto json = sys::read_file(bundle + "/config.json", kMaxConfigSize);
  if (!json) return json.take_failure();
  auto config = parse_config(*json);
  if (config) config->bundle = bundle;
  return config;
}

}  // namespace supervisor
