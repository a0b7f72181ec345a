#include "supervisor/update.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "jail/spec_resources.h"
#include "supervisor/config.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kConfig = "/config.json";
constexpr const char* kDraft = "/config.json.update";
constexpr size_t kMaxConfigSize = 16 << 20;

using Allocator = rapidjson::Document::AllocatorType;

// The member `name`, an object, made when it is not there.
sys::Json& object_in(sys::Json& parent, const char* name, Allocator& allocator) {
  if (!parent.HasMember(name)) {
    parent.AddMember(sys::Json(name, allocator), sys::Json(rapidjson::kObjectType), allocator);
  }
  return parent[name];
}

void set(sys::Json& object, const char* name, const sys::Json& value, Allocator& allocator) {
  object.RemoveMember(name);
  object.AddMember(sys::Json(name, allocator), sys::Json(value, allocator), allocator);
}

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

sys::Result<void> draft_config(const std::string& bundle, const sys::Json& request, bool sync) {
  auto text = sys::read_file(bundle + kConfig, kMaxConfigSize);
  if (!text) return text.take_failure();
  rapidjson::Document config;
  SYS_TRY(sys::parse_json(config, *text));
  Allocator& allocator = config.GetAllocator();
  if (const sys::Json* resources = sys::json_member(&request, "resources")) {
    sys::Json& known = object_in(object_in(config, "linux", allocator), "resources", allocator);
    for (const char* group : {"memory", "cpu", "pids"}) {
      const sys::Json* changes = sys::json_member(resources, group);
      if (changes == nullptr) continue;
      sys::Json& object = object_in(known, group, allocator);
      for (const auto& change : changes->GetObject()) set(object, change.name.GetString(), change.value, allocator);
    }
  }
  if (const sys::Json* restart = sys::json_member(&request, "restart")) {
    set(object_in(config, "dinghy", allocator), "restart", *restart, allocator);
  }
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  config.Accept(writer);
  const sys::Fd folder(open(bundle.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return sys::errno_error("open", bundle);
  return sys::replace_file(folder.get(), kDraft + 1, std::string_view(buffer.GetString(), buffer.GetSize()), 0600,
                           sync);
}

sys::Result<void> adopt_draft(const std::string& bundle) {
  if (rename((bundle + kDraft).c_str(), (bundle + kConfig).c_str()) != 0) return sys::errno_error("rename", bundle);
  return {};
}

void drop_draft(const std::string& bundle) { unlink((bundle + kDraft).c_str()); }

}  // namespace supervisor
