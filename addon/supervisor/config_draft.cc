#include "supervisor/config_draft.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kConfig = "/config.json";
constexpr const char* kDraft = "/config.json.draft";
constexpr const char* kOld = "/config.json.old";
constexpr size_t kMaxConfigSize = 16 << 20;

}  // namespace

sys::Result<void> load_config(const std::string& bundle, rapidjson::Document& config) {
  auto text = sys::read_file(bundle + kConfig, kMaxConfigSize);
  if (!text) return text.take_failure();
  return sys::parse_json(config, *text);
}

sys::Result<std::string> draft_config(const std::string& bundle, const rapidjson::Document& config, bool sync) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  config.Accept(writer);
  std::string text(buffer.GetString(), buffer.GetSize());
  const sys::Fd folder(open(bundle.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return sys::errno_error("open", bundle);
  SYS_TRY(sys::replace_file(folder.get(), kDraft + 1, text, 0600, sync));
  return text;
}

sys::Result<void> adopt_draft(const std::string& bundle) {
  if (rename((bundle + kDraft).c_str(), (bundle + kConfig).c_str()) != 0) return sys::errno_error("rename", bundle);
  return {};
}

void drop_draft(const std::string& bundle) { unlink((bundle + kDraft).c_str()); }

sys::Result<void> try_draft(const std::string& bundle) {
  forget_old_config(bundle);  // of one that was killed
  if (link((bundle + kConfig).c_str(), (bundle + kOld).c_str()) != 0) return sys::errno_error("link", bundle);
  auto adopted = adopt_draft(bundle);
  if (!adopted) forget_old_config(bundle);
  return adopted;
}

void restore_config(const std::string& bundle) { (void)rename((bundle + kOld).c_str(), (bundle + kConfig).c_str()); }

void forget_old_config(const std::string& bundle) { unlink((bundle + kOld).c_str()); }

sys::Json& object_in(sys::Json& parent, const char* name, JsonAllocator& allocator) {
  if (!parent.HasMember(name)) {
    parent.AddMember(sys::Json(name, allocator), sys::Json(rapidjson::kObjectType), allocator);
  }
  return parent[name];
}

void set_member(sys::Json& object, const char* name, const sys::Json& value, JsonAllocator& allocator) {
  object.RemoveMember(name);
  object.AddMember(sys::Json(name, allocator), sys::Json(value, allocator), allocator);
}

}  // namespace supervisor
