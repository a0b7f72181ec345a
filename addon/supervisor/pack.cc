#include "layer/pack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "layer/confine.h"
#include "layer/diff.h"
#include "layer/locate.h"
#include "supervisor/byte_text.h"
#include "supervisor/copy_layers.h"
#include "supervisor/file_root.h"
#include "supervisor/handshake.h"
#include "supervisor/json_text.h"
#include "supervisor/modes.h"
#include "supervisor/moment.h"
#include "supervisor/pack_root.h"
#include "supervisor/process.h"
#include "supervisor/worker.h"
#include "sys/bytes.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr int kOutputFd = 1;
constexpr int kPipeSize = 1 << 20;

// What a request says of the tree that is wanted.
struct Wish {
  std::string folder;
  std::string bundle;
  std::string socket;
  std::optional<RootlessConfig> ids;
  std::string path;  // of the thing in the tree that is wanted
  std::string as;    // what it is called in the archive
  bool follow = false;
  std::string frozen;  // the frozen layer that is wanted, instead of the upper folder
  bool pause = false;  // the upper folder is wanted as it is at one moment
  std::string copy;    // an empty folder for a copy of it; without one a container stands still while it is read
};

sys::Result<Wish> parse_wish(const Request& request) {
  sys::JsonReader reader(request.op);
  Wish wish;
  wish.folder = reader.text(&request.document, "folder");
  wish.bundle = reader.text(&request.document, "bundle");
  wish.socket = reader.text(&request.document, "socket");
  wish.ids = parse_rootless(reader, &request.document);
  wish.path = reader.text(&request.document, "path");
  wish.as = reader.text(&request.document, "as");
  wish.follow = reader.flag(&request.document, "follow");
  wish.frozen = reader.text(&request.document, "frozen");
  wish.pause = reader.flag(&request.document, "pause");
  wish.copy = reader.text(&request.document, "copy");
  SYS_TRY(reader.done());
  return wish;
}

sys::Result<PackRoot> open_root(const Wish& wish) {
  if (wish.folder.empty() == wish.bundle.empty())
    return sys::error("pack", "either folder or bundle must be given", EINVAL);
  return wish.bundle.empty() ? open_folder_root(wish.folder, wish.ids) : open_container_root(wish.bundle, wish.socket);
}

void announce(bool folder) {
  JsonText event;
  event.put("event", "opened").put("folder", folder);
  (void)sys::write_all(kControlFd, encode_frame(FrameType::kEvent, event.text())).ok();
}

// What is read from here on is a container's, or anybody's; whoever asked may read it from fd 1.
sys::Result<void> begin_reading(int root, bool folder = true, layer::Capabilities kept = layer::kToPack) {
  SYS_TRY(layer::confine(root, kept));
  SYS_TRY(end_with_control());
  announce(folder);
  // Fewer turns of the reader's event loop; a user may have used up what he has for pipes.
  (void)fcntl(kOutputFd, F_SETPIPE_SZ, kPipeSize);
  return {};
}

void put_report(JsonText& json, const layer::PackReport& report, uint64_t size) {
  json.put("size", size).put("entries", report.entries).put("sockets", report.sockets);
  json.put("vanished", report.vanished).put("changed", report.changed);
  json.put_raw("warnings", byte_array(report.warnings));
}

std::string report_text(const layer::PackReport& report, uint64_t size) {
  JsonText json;
  put_report(json, report, size);
  return json.text();
}

sys::Result<std::string> pack(const Wish& wish) {
  auto root = open_root(wish);
  if (!root) return root.take_failure();
  SYS_TRY(begin_reading(root->folder.get()));
  layer::Output output(kOutputFd);
  SYS_TRY(output.start());
  auto report = layer::pack(root->folder.get(), output);
  if (!report) return report.take_failure();
  SYS_TRY(output.finish());
  return report_text(*report, output.size());
}

// One thing of a container as its processes see it; of this host where no container is named.
sys::Result<std::string> archive(const Wish& wish) {
  FileRoot files;
  if (wish.bundle.empty()) {
    files.root.reset(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!files.root) return sys::errno_error("open tree", "/");
  } else {
    auto opened = open_file_root(wish.bundle, wish.socket, Access::kRead);
    if (!opened) return opened.take_failure();
    files = std::move(*opened);
  }
  auto located = layer::locate(files.root.get(), wish.path, wish.follow);
  if (!located) return located.take_failure();
  struct stat status {};
  const bool is_root = located->name.empty();
  if (!is_root && fstatat(located->parent.get(), located->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return sys::errno_error("find", wish.path);
  const bool folder = is_root || S_ISDIR(status.st_mode);
  // "/etc/passwd/" and "/etc/passwd/.", as the kernel has it.
  if (!folder && (wish.path.ends_with('/') || wish.path.ends_with("/.")))
    return sys::errno_error("find", wish.path, ENOTDIR);
  SYS_TRY(begin_reading(files.root.get(), folder));
  layer::Output output(kOutputFd);
  SYS_TRY(output.start());
  layer::PackOptions options;
  options.mounts = wish.bundle.empty() ? layer::PackOptions::Mounts::kAll : layer::PackOptions::Mounts::kFiles;
  auto report = layer::pack_member(located->parent.get(), located->name, wish.as, output, options);
  if (!report) return report.take_failure();
  SYS_TRY(output.finish());
  return report_text(*report, output.size());
}

// One change: its letter and its path, ended by a zero, which no path has.
class ChangeLines final : public layer::ChangeSink {
 public:
  explicit ChangeLines(layer::Output& output) : output_(output) {}
  sys::Result<void> put(char kind, const std::string& path) override {
    count_++;
    line_.assign(1, kind);
    line_.append(path).append(1, '\0');
    return output_.write(line_);
  }
  [[nodiscard]] uint64_t count() const { return count_; }

 private:
  layer::Output& output_;
  std::string line_;
  uint64_t count_ = 0;
};

sys::Result<std::string> diff(const Wish& wish) {
  auto layers = open_container_layers(wish.bundle, wish.socket);
  if (!layers) return layers.take_failure();
  SYS_TRY(begin_reading(layers->upper, true, layer::kToCompare));
  layer::Output output(kOutputFd);
  SYS_TRY(output.start());
  ChangeLines lines(output);
  SYS_TRY(layer::diff(layers->own, layers->lower, lines));
  SYS_TRY(output.finish());
  JsonText json;
  return json.put("changes", lines.count()).text();
}

// One of the folders that a container wrote, and what lies below it.
struct OwnLayer {
  std::shared_ptr<const sys::Fd> folder;
  layer::Stack below;
};

sys::Result<OwnLayer> find_own_layer(const ContainerLayers& layers, const std::string& frozen) {
  size_t depth = 0;
  if (!frozen.empty()) {
    const auto found = std::find(layers.frozen.begin(), layers.frozen.end(), frozen);
    if (found == layers.frozen.end()) return sys::error("pack", "no layer of this container: " + frozen, EINVAL);
    depth = static_cast<size_t>(found - layers.frozen.begin()) + 1;
  }
  auto folders = layers.own.folder("");
  if (!folders) return folders.take_failure();
  OwnLayer own{folders->at(depth).fd, layers.own.over(layers.lower)};
  for (size_t above = 0; above <= depth; above++) own.below = own.below.below_top();
  return own;
}

// What is read, and what is told of it afterwards.
struct Source {
  int folder = -1;
  sys::Fd copy;
  Moment moment;
};

// Opens what can't be opened any more once the process is confined, and is so from then on.
sys::Result<Source> begin_layer(const Wish& wish, const ContainerLayers& layers, int folder) {
  Source source;
  source.folder = folder;
  if (!wish.pause || !wish.frozen.empty() || !layers.running) {
    SYS_TRY(begin_reading(folder, true, layer::kToCompare));
    return source;
  }
  if (wish.copy.empty()) {
    SYS_TRY(begin_reading(folder, true, layer::kToCompare));
    auto running = suspend_container(layers.connection.get());
    if (!running) return running.take_failure();
    return source;
  }
  auto copy = sys::open(AT_FDCWD, wish.copy.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!copy) return copy.take_failure();
  auto proc = sys::open(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY);
  if (!proc) return proc.take_failure();
  SYS_TRY(begin_reading(folder, true, layer::kToReplicate));
  auto moment = copy_moment(layers, {{layers.upper, copy->get()}}, proc->get());
  if (!moment) return moment.take_failure();
  source.moment = *moment;
  source.copy = std::move(*copy);
  source.folder = source.copy.get();
  return source;
}

// What the container wrote into its upper folder, or before that was frozen, as the layer that it is.
sys::Result<std::string> pack_layer(const Wish& wish) {
  const Wanted wanted = wish.frozen.empty() ? Wanted::kWriting : Wanted::kFiles;
  auto layers = open_container_layers(wish.bundle, wish.socket, wanted);
  if (!layers) return layers.take_failure();
  auto own = find_own_layer(*layers, wish.frozen);
  if (!own) return own.take_failure();
  auto source = begin_layer(wish, *layers, own->folder->get());
  if (!source) return source.take_failure();
  yield_to_program();
  layer::Output output(kOutputFd);
  SYS_TRY(output.start());
  const layer::LayerForm form(own->below);
  layer::PackOptions options;
  options.layer = &form;
  auto report = layer::pack(source->folder, output, options);
  if (!report) return report.take_failure();
  SYS_TRY(output.finish());
  JsonText json;
  put_report(json, *report, output.size());
  json.put("sameRoot", report->same_root).put_raw("frozen", json_array(layers->frozen));
  return json.put("stillUs", source->moment.still_us).text();
}

sys::Result<std::string> carry_out(const Request& request) {
  if (request.op == "copy") return copy_layers(request);
  auto wish = parse_wish(request);
  if (!wish) return wish.take_failure();
  if (request.op == "pack") return pack(*wish);
  if (request.op == "diff") return diff(*wish);
  if (request.op == "archive") return archive(*wish);
  if (request.op == "layer") return pack_layer(*wish);
  return sys::error("pack", "the only requests are pack, archive, diff, layer and copy", EPROTO);
}

}  // namespace

int pack_mode() {
  prepare_process(kLockFd + 1);
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  // Nobody waits standing still for the others.
  if (first->request.op != "layer" && first->request.op != "copy") yield_to_program();
  auto result = carry_out(first->request);
  if (result) {
    reply_now(kControlFd, first->request.id, *result);
  } else {
    reply_error_now(kControlFd, first->request.id, result.failure());
  }
  _exit(result ? 0 : 1);
}

}  // namespace supervisor
