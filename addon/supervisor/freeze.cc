#include "supervisor/freeze.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "layer/attributes.h"
#include "supervisor/config_draft.h"
#include "supervisor/layer_content.h"
#include "sys/small_file.h"
#include "sys/tree.h"

namespace supervisor {
namespace {

constexpr const char* kStep = "freeze";
constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

using Folder = FreezeRequest::Folder;

// The folder that will be in its place.
std::string successor(const std::string& from) { return from + ".new"; }

sys::Result<layer::Attributes> attributes_at(const std::string& path) {
  auto fd = sys::open(AT_FDCWD, path.c_str(), kFolder);
  if (!fd) return sys::errno_error(kStep, path, fd.failure().err);
  return layer::attributes_of(fd->get(), kStep, path);
}

sys::Result<bool> adds_something(const std::string& path, const std::vector<std::string>& lower) {
  auto fd = sys::open(AT_FDCWD, path.c_str(), kFolder);
  if (!fd) return sys::errno_error(kStep, path, fd.failure().err);
  if (lower.empty()) return says_something(fd->get(), -1, kStep);
  auto below = sys::open(AT_FDCWD, lower.front().c_str(), kFolder);
  if (!below) return sys::errno_error(kStep, lower.front(), below.failure().err);
  return says_something(fd->get(), below->get(), kStep);
}

sys::Result<void> make_successor(const Folder& folder) {
  const std::string& from = folder.freezing.from;
  const std::string path = successor(from);
  // Of an attempt that failed.
  auto removed = sys::remove_tree(path);
  if (!removed) return removed.take_failure();
  auto attributes = attributes_at(from);
  if (!attributes) return attributes.take_failure();
  if (mkdir(path.c_str(), 0700) != 0) return sys::errno_error(kStep, path);
  auto made = sys::open(AT_FDCWD, path.c_str(), kFolder);
  if (!made) return made.take_failure();
  SYS_TRY(layer::give(made->get(), *attributes, kStep, path));
  if (!folder.work.empty() && mkdir(folder.work.c_str(), 0700) != 0 && errno != EEXIST) {
    return sys::errno_error(kStep, folder.work);
  }
  return {};
}

sys::Json text_json(const std::string& text, JsonAllocator& allocator) { return {text, allocator}; }

// `to` is the first of the member `lower`, made if it is not there.
void put_below(sys::Json& owner, const std::string& to, JsonAllocator& allocator) {
  sys::Json lower(rapidjson::kArrayType);
  lower.PushBack(text_json(to, allocator), allocator);
  if (owner.HasMember("lower")) {
    for (const sys::Json& path : owner["lower"].GetArray()) lower.PushBack(sys::Json(path, allocator), allocator);
  }
  set_member(owner, "lower", lower, allocator);
}

// The destinations at which the volume is mounted.
std::vector<std::string> destinations(const Config& config, const std::string& source) {
  std::vector<std::string> found;
  for (const jail::Mount& mount : config.spec.mounts) {
    if (mount.type == "bind" && mount.source == source) found.push_back(mount.destination);
  }
  return found;
}

sys::Result<void> write_decision(const Config& config, const std::vector<Folder>& folders, rapidjson::Document& json) {
  JsonAllocator& allocator = json.GetAllocator();
  sys::Json& section = object_in(json, "dinghy", allocator);
  sys::Json decided(rapidjson::kArrayType);
  for (const auto& [freezing, work] : folders) {
    if (freezing.from == config.spec.rootfs.upper) {
      sys::Json& rootfs = object_in(section, "rootfs", allocator);
      put_below(rootfs, freezing.to, allocator);
      set_member(rootfs, "frozen", sys::Json(uint64_t{config.spec.rootfs.frozen + 1}), allocator);
    } else {
      const auto places = destinations(config, freezing.from);
      // One folder can be the upper one of one overlay only.
      if (places.size() != 1) return sys::error(kStep, freezing.from + " is no volume of this container", EINVAL);
      sys::Json& stacks = object_in(section, "stacks", allocator);
      sys::Json& stack = object_in(stacks, places.front().c_str(), allocator);
      put_below(stack, freezing.to, allocator);
      set_member(stack, "work", text_json(work, allocator), allocator);
    }
    sys::Json entry(rapidjson::kObjectType);
    set_member(entry, "from", text_json(freezing.from, allocator), allocator);
    set_member(entry, "to", text_json(freezing.to, allocator), allocator);
    decided.PushBack(entry, allocator);
  }
  set_member(section, "freezing", decided, allocator);
  return {};
}

// It may have been moved before, and something else have the old name since.
sys::Result<void> move_once(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  const int err = errno;
  if ((err == EEXIST || err == ENOENT) && access(to.c_str(), F_OK) == 0) return {};
  return sys::errno_error(kStep, from, err);
}

const std::vector<std::string>& layers_below(const Config& config, const std::string& from) {
  if (from == config.spec.rootfs.upper) return config.spec.rootfs.lower;
  for (const jail::Mount& mount : config.spec.mounts) {
    if (mount.source == from) return mount.lower;
  }
  static const std::vector<std::string> kNone;
  return kNone;
}

}  // namespace

sys::Result<FreezeRequest> parse_freeze(const sys::Json& request) {
  sys::JsonReader reader(kStep);
  FreezeRequest result;
  const sys::Json* folders = reader.array(&request, "folders");
  if (folders != nullptr) {
    for (const sys::Json& entry : folders->GetArray()) {
      result.folders.push_back({{reader.text(&entry, "from"), reader.text(&entry, "to")}, reader.text(&entry, "work")});
      const Freezing& last = result.folders.back().freezing;
      if (!last.from.starts_with('/') || !last.to.starts_with('/')) reader.fail("folders: paths must be absolute");
    }
  }
  SYS_TRY(reader.done());
  return result;
}

sys::Result<std::vector<Freezing>> freeze(Config& config, const FreezeRequest& request) {
  SYS_TRY(finish_freezing(config));
  std::vector<Folder> folders;
  for (const Folder& folder : request.folders) {
    auto wanted = adds_something(folder.freezing.from, layers_below(config, folder.freezing.from));
    if (!wanted) return wanted.take_failure();
    if (*wanted) folders.push_back(folder);
  }
  if (folders.empty()) return std::vector<Freezing>();

  rapidjson::Document json;
  SYS_TRY(load_config(config.bundle, json));
  SYS_TRY(write_decision(config, folders, json));
  for (const Folder& folder : folders) SYS_TRY(make_successor(folder));
  auto text = draft_config(config.bundle, json, config.detached);
  if (!text) return text.take_failure();
  auto next = parse_config(*text);
  auto adopted = next ? adopt_draft(config.bundle) : sys::Result<void>(next.take_failure());
  if (!adopted) {
    drop_draft(config.bundle);
    return adopted.take_failure();
  }
  config.spec.rootfs = std::move(next->spec.rootfs);
  config.spec.mounts = std::move(next->spec.mounts);
  config.freezing = std::move(next->freezing);
  std::vector<Freezing> frozen = config.freezing;
  SYS_TRY(finish_freezing(config));
  return frozen;
}

sys::Result<void> finish_freezing(Config& config) {
  for (const auto& [from, to] : config.freezing) {
    SYS_TRY(move_once(from, to));
    // Whoever starts a supervisor makes a missing upper folder: empty, so that this takes its place.
    const std::string next = successor(from);
    if (rename(next.c_str(), from.c_str()) != 0 && errno != ENOENT) return sys::errno_error(kStep, next);
  }
  config.freezing.clear();
  return {};
}

}  // namespace supervisor
