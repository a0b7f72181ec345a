#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "layer/compare.h"
#include "layer/confine.h"
#include "layer/inflate_all.h"
#include "layer/mend.h"
#include "layer/squash.h"
#include "layer/unpack.h"
#include "supervisor/byte_text.h"
#include "supervisor/extract.h"
#include "supervisor/findings.h"
#include "supervisor/handshake.h"
#include "supervisor/json_text.h"
#include "supervisor/modes.h"
#include "supervisor/process.h"
#include "supervisor/rootless.h"
#include "supervisor/worker.h"
#include "sys/bytes.h"

namespace supervisor {
namespace {

constexpr int kInputFd = 0;
constexpr int kOutputFd = 1;
constexpr int64_t kMaxNumber = 1LL << 53;  // what JavaScript counts exactly

sys::Result<layer::UnpackRequest> parse_unpack(const rapidjson::Document& document) {
  layer::UnpackRequest request;
  sys::JsonReader reader("unpack");
  request.input = kInputFd;
  request.layer_dir = reader.text(&document, "layerDir");
  request.blob_file = reader.text(&document, "blobFile");
  request.media_type = reader.text(&document, "mediaType");
  request.userxattr = reader.flag(&document, "userxattr");
  request.ignore_chown = reader.flag(&document, "ignoreChown");
  request.sync = reader.flag(&document, "sync");
  request.confine = true;
  if (const sys::Json* limits = reader.object(&document, "limits")) {
    const auto number = [&](const char* name, uint64_t fallback) {
      const auto value = reader.integer(limits, name, 1, kMaxNumber);
      return value ? static_cast<uint64_t>(*value) : fallback;
    };
    request.limits.bytes = number("bytes", request.limits.bytes);
    request.limits.entries = number("entries", request.limits.entries);
    request.limits.ratio = number("ratio", request.limits.ratio);
    request.limits.ratio_floor = number("ratioFloor", request.limits.ratio_floor);
    request.limits.depth = static_cast<uint32_t>(std::min<uint64_t>(number("depth", request.limits.depth), UINT32_MAX));
  }
  if (const sys::Json* expected = reader.object(&document, "expected")) {
    request.expected.digest = reader.text(expected, "digest");
    request.expected.diff_id = reader.text(expected, "diffId");
    if (const auto size = reader.integer(expected, "size", 0, kMaxNumber))
      request.expected.size = static_cast<uint64_t>(*size);
  }
  SYS_TRY(reader.done());
  return request;
}

sys::Result<std::string> unpack(const rapidjson::Document& document) {
  auto request = parse_unpack(document);
  if (!request) return request.take_failure();
  auto result = layer::unpack(*request, [](const layer::Progress& progress) {
    JsonText event;
    event.put("event", "progress").put("read", progress.read).put("written", progress.written);
    (void)sys::write_all(kControlFd, encode_frame(FrameType::kEvent, event.text())).ok();
  });
  if (!result) return result.take_failure();
  send_findings(*result);
  JsonText json;
  json.put("digest", result->digest)
      .put("size", result->size)
      .put("diffId", result->diff_id)
      .put("diffSize", result->diff_size)
      .put("compression", result->compression);
  json.put("entries", result->entries).put("skippedDevices", result->skipped_devices);
  json.put_raw("warnings", byte_array(result->warnings));
  return json.text();
}

sys::Result<std::string> mend(const rapidjson::Document& document) {
  layer::MendRequest request;
  sys::JsonReader reader("mend");
  request.layers = reader.texts(&document, "layers");
  request.out_dir = reader.text(&document, "outDir");
  SYS_TRY(reader.done());
  auto found = read_findings(kInputFd);
  if (!found) return found.take_failure();
  request.implicit = std::move(found->implicit);
  request.whiteouts = std::move(found->whiteouts);
  request.lower_links = std::move(found->lower_links);
  auto made = layer::mend(request);
  if (!made) return made.take_failure();
  JsonText json;
  return json.put("made", *made).text();
}

// `folder` is an empty one that nothing outside of can be reached from once untrusted bytes are read.
sys::Result<std::string> inflate(const rapidjson::Document& document) {
  sys::JsonReader reader("inflate");
  const std::string folder = reader.text(&document, "folder");
  SYS_TRY(reader.done());
  const sys::Fd root(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return sys::errno_error("inflate", folder);
  SYS_TRY(layer::confine(root.get(), layer::kToUnpack));
  auto size = layer::inflate_all(kInputFd, kOutputFd, {});
  if (!size) return size.take_failure();
  JsonText json;
  return json.put("size", *size).text();
}

sys::Result<std::string> compare(const rapidjson::Document& document) {
  layer::CompareRequest request;
  sys::JsonReader reader("compare");
  request.left = reader.text(&document, "left");
  request.right = reader.text(&document, "right");
  request.folder_times = reader.flag(&document, "folderTimes");
  SYS_TRY(reader.done());
  auto found = read_findings(kInputFd);
  if (!found) return found.take_failure();
  request.timeless = {found->implicit.begin(), found->implicit.end()};
  request.timeless.insert(found->whiteouts.begin(), found->whiteouts.end());
  auto result = layer::compare(request);
  if (!result) return result.take_failure();
  std::string first = "[";
  for (const layer::Difference& difference : result->first) {
    first += first.size() > 1 ? ",{\"path\":" : "{\"path\":";
    append_name(first, difference.path);
    first += ",\"what\":\"" + difference.what + "\"}";
  }
  JsonText json;
  return json.put("count", result->count).put_raw("first", first + "]").text();
}

sys::Result<std::string> squash(const rapidjson::Document& document) {
  layer::SquashRequest request;
  sys::JsonReader reader("squash");
  request.layers = reader.texts(&document, "layers");
  request.out_dir = reader.text(&document, "outDir");
  SYS_TRY(reader.done());
  auto made = layer::squash(request);
  if (!made) return made.take_failure();
  JsonText json;
  return json.put("made", *made).text();
}

sys::Result<std::string> carry_out(const Request& request) {
  if (request.op == "extract") return extract(request);
  if (request.op == "unpack") return unpack(request.document);
  if (request.op == "mend") return mend(request.document);
  if (request.op == "squash") return squash(request.document);
  if (request.op == "inflate") return inflate(request.document);
  if (request.op == "compare") return compare(request.document);
  return sys::error("unpack", "the only requests are unpack, extract, mend, squash, inflate and compare", EPROTO);
}

// Ends with its connection; what `extract` writes in is not removed when it fails, so that ends in its own way.
sys::Result<void> begin(const Request& request) {
  if (request.op == "extract") return {};
  sys::JsonReader reader(request.op);
  const auto ids = parse_rootless(reader, &request.document);
  SYS_TRY(reader.done());
  // A user's own folders may be closed to him; as root of a namespace he gets through. Where the host refuses that it
  // goes on without: an image that closes none needs no such right. Before there is a second thread (unshare(2)).
  if (ids) (void)enter_rootless(*ids).ok();
  return end_with_control();
}

}  // namespace

int unpack_mode() {
  prepare_process(kLockFd + 1);
  yield_to_program();
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  const Request& request = first->request;
  auto started = begin(request);
  auto result = started ? carry_out(request) : sys::Result<std::string>(started.take_failure());
  if (result) {
    reply_now(kControlFd, request.id, *result);
  } else {
    reply_error_now(kControlFd, request.id, result.failure());
  }
  _exit(result ? 0 : 1);
}

}  // namespace supervisor
