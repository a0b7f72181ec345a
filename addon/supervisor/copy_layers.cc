#include "supervisor/copy_layers.h"

#include <fcntl.h>

#include <optional>
#include <utility>
#include <vector>

#include "layer/confine.h"
#include "supervisor/json_text.h"
#include "supervisor/layer_content.h"
#include "supervisor/moment.h"
#include "supervisor/pack_root.h"
#include "supervisor/worker.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kStep = "copy";
constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct Folder {
  std::string from;
  std::string to;
  std::string below;  // none: empty
};

struct Wish {
  std::string bundle;
  std::string socket;
  std::vector<Folder> folders;
};

sys::Result<Wish> parse_wish(const Request& request) {
  sys::JsonReader reader(request.op);
  Wish wish;
  wish.bundle = reader.text(&request.document, "bundle");
  wish.socket = reader.text(&request.document, "socket");
  const sys::Json* folders = reader.array(&request.document, "folders");
  if (folders != nullptr) {
    for (const sys::Json& entry : folders->GetArray()) {
      wish.folders.push_back({reader.text(&entry, "from"), reader.text(&entry, "to"), reader.text(&entry, "below")});
      if (!wish.folders.back().from.starts_with('/') || !wish.folders.back().to.starts_with('/')) {
        reader.fail("folders: paths must be absolute");
      }
    }
  }
  SYS_TRY(reader.done());
  return wish;
}

struct OpenFolder {
  PackRoot from;
  sys::Fd to;
  sys::Fd below;
};

sys::Result<OpenFolder> open_folder(const Folder& folder) {
  OpenFolder opened;
  // This process is in the user's namespaces already, where it is a user's.
  auto from = open_folder_root(folder.from, std::nullopt);
  if (!from) return from.take_failure();
  opened.from = std::move(*from);
  auto to = sys::open(AT_FDCWD, folder.to.c_str(), kFolder);
  if (!to) return to.take_failure();
  opened.to = std::move(*to);
  if (folder.below.empty()) return opened;
  auto below = sys::open(AT_FDCWD, folder.below.c_str(), kFolder);
  if (!below) return below.take_failure();
  opened.below = std::move(*below);
  return opened;
}

}  // namespace

sys::Result<std::string> copy_layers(const Request& request) {
  auto wish = parse_wish(request);
  if (!wish) return wish.take_failure();
  auto layers = open_container_layers(wish->bundle, wish->socket, Wanted::kWriting);
  if (!layers) return layers.take_failure();
  std::vector<OpenFolder> folders;
  std::vector<Copying> copying;
  for (const Folder& folder : wish->folders) {
    auto opened = open_folder(folder);
    if (!opened) return opened.take_failure();
    copying.push_back({opened->from.folder.get(), opened->to.get()});
    folders.push_back(std::move(*opened));
  }
  auto proc = sys::open(AT_FDCWD, "/proc", kFolder);
  if (!proc) return proc.take_failure();
  SYS_TRY(layer::confine(layers->upper, layer::kToReplicate));
  SYS_TRY(end_with_control());
  auto moment = copy_moment(*layers, copying, proc->get());
  if (!moment) return moment.take_failure();
  std::string says;
  for (const OpenFolder& folder : folders) {
    auto something = says_something(folder.to.get(), folder.below ? folder.below.get() : -1, kStep);
    if (!something) return something.take_failure();
    says.append(says.empty() ? "[" : ",").append(*something ? "true" : "false");
  }
  JsonText json;
  json.put("stillUs", moment->still_us).put_raw("says", says.empty() ? "[]" : says + "]");
  return json.text();
}

}  // namespace supervisor
