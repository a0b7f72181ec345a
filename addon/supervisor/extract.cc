#include "supervisor/extract.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/confine.h"
#include "layer/deposit.h"
#include "layer/locate.h"
#include "layer/name.h"
#include "supervisor/byte_text.h"
#include "supervisor/file_root.h"
#include "supervisor/json_text.h"
#include "supervisor/protocol.h"
#include "supervisor/worker.h"
#include "sys/bytes.h"
#include "sys/kernel.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr int kInputFd = 0;

struct ExtractRequest {
  std::string bundle;  // empty: this host's files
  std::string socket;
  std::string path;
  std::optional<layer::Source> source;  // one thing, copied; else an archive's members, into a folder
  layer::DepositOptions options;
};

sys::Result<ExtractRequest> parse(const Request& request) {
  ExtractRequest parsed;
  sys::JsonReader reader("extract");
  const rapidjson::Document& document = request.document;
  parsed.bundle = reader.text(&document, "bundle");
  parsed.socket = reader.text(&document, "socket");
  parsed.path = reader.text(&document, "path");
  const std::string owners = reader.text(&document, "owners", "kept");
  using Owners = layer::DepositOptions::Owners;
  parsed.options.owners = owners == "root" ? Owners::kRoot : owners == "own" ? Owners::kOwn : Owners::kKept;
  parsed.options.plain = reader.flag(&document, "plain");
  parsed.options.devices = !parsed.bundle.empty();
  if (const sys::Json* source = reader.object(&document, "source")) {
    parsed.source.emplace();
    parsed.source->name = reader.text(source, "name");
    parsed.source->folder = reader.flag(source, "folder");
    parsed.source->contents = reader.flag(source, "contents");
    parsed.options.strip = 1;
  }
  SYS_TRY(reader.done());
  if (parsed.path.empty()) return sys::errno_error("find", {}, ENOENT);
  return parsed;
}

// An archive goes into a folder that exists.
sys::Result<layer::Destination> settle_folder(int root, const std::string& path) {
  auto located = layer::locate(root, path, true);
  if (!located) return located.take_failure();
  struct stat status {};
  if (!located->name.empty()) {
    if (fstatat(located->parent.get(), located->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return sys::errno_error("find", path);
    if (!S_ISDIR(status.st_mode)) return sys::errno_error("find", path, ENOTDIR);
  }
  return layer::Destination{located->path, true};
}

// Refused before a byte is read, if what is to be written in can't be.
sys::Result<void> check_writable(int root, const std::string& base, bool exists) {
  std::string folder(exists ? base : std::string(layer::parent_of(base)));
  if (folder.empty()) folder = ".";
  const sys::Fd fd(sys::openat2(root, folder.c_str(), O_RDONLY | O_DIRECTORY, sys::kInRoot));
  if (!fd) return sys::errno_error("find", base);
  if (faccessat(fd.get(), ".", W_OK, AT_EACCESS) != 0) return sys::errno_error("find", folder);
  return {};
}

// On the host nothing but the folder that was named can be reached, nor a link in it followed.
sys::Result<FileRoot> open_host_folder(layer::DepositOptions& options) {
  FileRoot files;
  const std::string path = "/" + std::string(layer::parent_of(options.base));
  auto root = sys::open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
  if (!root) return root.take_failure();
  files.root = std::move(*root);
  options.base = layer::base_of(options.base);
  options.beneath = true;
  return files;
}

}  // namespace

sys::Result<std::string> extract(const Request& request) {
  auto parsed = parse(request);
  if (!parsed) return parsed.take_failure();
  layer::DepositOptions& options = parsed->options;
  FileRoot files;
  umask(0);
  if (parsed->bundle.empty()) {
    files.root.reset(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!files.root) return sys::errno_error("open tree", "/");
  } else {
    auto opened = open_file_root(parsed->bundle, parsed->socket, Access::kWrite);
    if (!opened) return opened.take_failure();
    files = std::move(*opened);
  }
  auto destination = parsed->source ? layer::settle_destination(files.root.get(), parsed->path, *parsed->source)
                                    : settle_folder(files.root.get(), parsed->path);
  if (!destination) return destination.take_failure();
  options.base = destination->path;
  options.base_stays = destination->exists;
  SYS_TRY(check_writable(files.root.get(), options.base, destination->exists));
  if (parsed->bundle.empty()) {
    auto folder = open_host_folder(options);
    if (!folder) return folder.take_failure();
    files = std::move(*folder);
  }
  SYS_TRY(layer::confine(files.root.get(), layer::kToDeposit));
  // For as long as the process lives: the thread that ends it may come to it at any time.
  layer::Deposit& deposit = *new layer::Deposit(files.root.get(), options);
  SYS_TRY(end_with_control([&deposit] { deposit.abandon(); }));
  JsonText event;
  (void)sys::write_all(kControlFd, encode_frame(FrameType::kEvent, event.put("event", "opened").text())).ok();
  layer::Limits limits;
  limits.bytes = UINT64_MAX;
  const layer::ProgressFn nobody;
  layer::PlainInput input(kInputFd, {}, {}, limits, nobody);
  SYS_TRY(input.start());
  auto put = deposit.run(input);
  if (!put) {
    input.cancel();
    return put.take_failure();
  }
  input.stop();
  JsonText json;
  json.put("entries", deposit.entries()).put_raw("warnings", byte_array(deposit.warnings()));
  return json.text();
}

}  // namespace supervisor
