#include "supervisor/update.h"

#include "jail/spec_resources.h"
#include "supervisor/config.h"
#include "supervisor/config_draft.h"

namespace supervisor {
namespace {

template <class T>
void take(std::optional<T>& value, const std::optional<T>& change) {
  if (change) value = change;
}

}  // namespace

sys::Result<Update> parse_update(const sys::Json& request) {
  sys::JsonReader reader("update");
  Update update;
  jail::read_resources(reader, reader.object(&request, "resources"), update.resources);
  if (sys::json_member(&request, "restart") != nullptr) update.restart = parse_restart(reader, &request);
  SYS_TRY(reader.done());
  return update;
}

void merge_resources(jail::Resources& resources, const jail::Resources& changes) {
  take(resources.memory_limit, changes.memory_limit);
  take(resources.memory_reservation, changes.memory_reservation);
  take(resources.memory_swap, changes.memory_swap);
  take(resources.cpu_shares, changes.cpu_shares);
  take(resources.cpu_quota, changes.cpu_quota);
  take(resources.cpu_period, changes.cpu_period);
  take(resources.pids_limit, changes.pids_limit);
  if (!changes.cpuset_cpus.empty()) resources.cpuset_cpus = changes.cpuset_cpus;
}

sys::Result<void> draft_update(const std::string& bundle, const sys::Json& request, bool sync) {
  rapidjson::Document config;
  SYS_TRY(load_config(bundle, config));
  JsonAllocator& allocator = config.GetAllocator();
  if (const sys::Json* resources = sys::json_member(&request, "resources")) {
    sys::Json& known = object_in(object_in(config, "linux", allocator), "resources", allocator);
    for (const char* group : {"memory", "cpu", "pids"}) {
      const sys::Json* changes = sys::json_member(resources, group);
      if (changes == nullptr) continue;
      sys::Json& object = object_in(known, group, allocator);
      for (const auto& change : changes->GetObject()) {
        set_member(object, change.name.GetString(), change.value, allocator);
      }
    }
  }
  if (const sys::Json* restart = sys::json_member(&request, "restart")) {
    set_member(object_in(config, "dinghy", allocator), "restart", *restart, allocator);
  }
  auto drafted = draft_config(bundle, config, sync);
  if (!drafted) return drafted.take_failure();
  return {};
}

}  // namespace supervisor
