#include "layer/pack.h"

#include <fcntl.h>
#include <unistd.h>

#include "layer/confine.h"
#include "supervisor/byte_text.h"
#include "supervisor/handshake.h"
#include "supervisor/json_text.h"
#include "supervisor/modes.h"
#include "supervisor/pack_root.h"
#include "supervisor/process.h"
#include "supervisor/worker.h"
#include "sys/bytes.h"

namespace supervisor {
namespace {

constexpr int kOutputFd = 1;
constexpr int kPipeSize = 1 << 20;

sys::Result<PackRoot> open_root(const Request& request) {
  if (request.op != "pack") return sys::error("pack", "the only request is pack", EPROTO);
  sys::JsonReader reader("pack");
  const std::string folder = reader.text(&request.document, "folder");
  const std::string bundle = reader.text(&request.document, "bundle");
  const std::string socket = reader.text(&request.document, "socket");
  const auto ids = parse_rootless(reader, &request.document);
  SYS_TRY(reader.done());
  if (folder.empty() == bundle.empty()) return sys::error("pack", "either folder or bundle must be given", EINVAL);
  return bundle.empty() ? open_folder_root(folder, ids) : open_container_root(bundle, socket);
}

void announce() {
  JsonText event;
  (void)sys::write_all(kControlFd, encode_frame(FrameType::kEvent, event.put("event", "opened").text())).ok();
}

sys::Result<std::string> pack(const Request& request) {
  auto root = open_root(request);
  if (!root) return root.take_failure();
  SYS_TRY(layer::confine(root->folder.get(), layer::kToPack));
  SYS_TRY(end_with_control());
  announce();
  // Fewer turns of the reader's event loop; a user may have used up what he has for pipes.
  (void)fcntl(kOutputFd, F_SETPIPE_SZ, kPipeSize);
  layer::Output output(kOutputFd);
  SYS_TRY(output.start());
  auto report = layer::pack(root->folder.get(), output);
  if (!report) return report.take_failure();
  SYS_TRY(output.finish());
  JsonText json;
  json.put("size", output.size()).put("entries", report->entries).put("sockets", report->sockets);
  json.put("vanished", report->vanished).put("changed", report->changed);
  json.put_raw("warnings", byte_array(report->warnings));
  return json.text();
}

}  // namespace

int pack_mode() {
  prepare_process(kLockFd + 1);
  yield_to_program();
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  auto result = pack(first->request);
  if (result) {
    reply_now(kControlFd, first->request.id, *result);
  } else {
    reply_error_now(kControlFd, first->request.id, result.failure());
  }
  _exit(result ? 0 : 1);
}

}  // namespace supervisor
