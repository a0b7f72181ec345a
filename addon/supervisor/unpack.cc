#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "layer/mend.h"
#include "layer/thread.h"
#include "layer/unpack.h"
#include "supervisor/handshake.h"
#include "supervisor/json_text.h"
#include "supervisor/modes.h"
#include "supervisor/process.h"
#include "sys/bytes.h"

namespace supervisor {
namespace {

constexpr int kInputFd = 0;
constexpr int kNice = 5;
constexpr size_t kPartSize = kMaxPayload / 4;
constexpr int64_t kMaxNumber = 1LL << 53;  // what JavaScript counts exactly
constexpr size_t kReadSize = 65536;

// How many bytes from `at` are one well-formed UTF-8 character; 0 if they are none.
size_t character_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t index) -> unsigned {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0;
  };
  const auto follows = [&](size_t index, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(index) >= low && byte(index) <= high;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return follows(at + 1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool second = lead == 0xe0   ? follows(at + 1, 0xa0)
                        : lead == 0xed ? follows(at + 1, 0x80, 0x9f)
                                       : follows(at + 1);
    return second && follows(at + 2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = lead == 0xf0   ? follows(at + 1, 0x90)
                        : lead == 0xf4 ? follows(at + 1, 0x80, 0x8f)
                                       : follows(at + 1);
    return second && follows(at + 2) && follows(at + 3) ? 4 : 0;
  }
  return 0;
}

// A name as a JSON string. Its bytes are whatever the archive had: what is no UTF-8 becomes U+DC80…U+DCFF.
void append_name(std::string& json, std::string_view name) {
  json += '"';
  for (size_t at = 0; at < name.size();) {
    const size_t length = character_length(name, at);
    const auto byte = static_cast<unsigned char>(name[at]);
    std::array<char, 8> escape{};
    if (length == 0) {
      std::snprintf(escape.data(), escape.size(), "\\udc%02x", byte);
      json += escape.data();
    } else if (byte < 0x20 || byte == '"' || byte == '\\') {
      std::snprintf(escape.data(), escape.size(), "\\u%04x", byte);
      json += escape.data();
    } else {
      json.append(name, at, length);
    }
    at += length == 0 ? 1 : length;
  }
  json += '"';
}

// Sends `found` events, each under the size of a frame.
class Findings {
 public:
  void names(const char* key, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      begin(key);
      append_name(items_, name);
      flush_if_large(key);
    }
    flush(key);
  }

  void links(const std::vector<layer::LowerLink>& links) {
    for (const layer::LowerLink& link : links) {
      begin("lowerLinks");
      items_ += "{\"path\":";
      append_name(items_, link.path);
      items_ += ",\"target\":";
      append_name(items_, link.target);
      items_ += '}';
      flush_if_large("lowerLinks");
    }
    flush("lowerLinks");
  }

 private:
  void begin(const char* /*key*/) {
    if (!items_.empty()) items_ += ',';
  }
  void flush_if_large(const char* key) {
    if (items_.size() >= kPartSize) flush(key);
  }
  void flush(const char* key) {
    if (items_.empty()) return;
    const std::string event = std::string(R"({"event":"found",")") + key + "\":[" + items_ + "]}";
    (void)sys::write_all(kControlFd, encode_frame(FrameType::kEvent, event)).ok();
    items_.clear();
  }

  std::string items_;
};

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
  Findings findings;
  findings.names("implicit", result->implicit);
  findings.names("whiteouts", result->whiteouts);
  findings.links(result->lower_links);
  JsonText json;
  json.put("digest", result->digest)
      .put("size", result->size)
      .put("diffId", result->diff_id)
      .put("diffSize", result->diff_size);
  json.put("entries", result->entries).put("skippedDevices", result->skipped_devices);
  std::string warnings = "[";
  for (const std::string& warning : result->warnings) {
    if (warnings.size() > 1) warnings += ',';
    append_name(warnings, warning);
  }
  json.put_raw("warnings", warnings + "]");
  return json.text();
}

// `i<path>\0`, `w<path>\0`, `l<path>\0<target>\0`, to the end of the input.
sys::Result<void> read_findings(layer::MendRequest& request) {
  std::string input;
  char data[kReadSize];
  for (;;) {
    const ssize_t size = read(kInputFd, data, sizeof data);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return sys::errno_error("read findings");
    if (size == 0) break;
    input.append(data, static_cast<size_t>(size));
  }
  if (!input.empty() && input.back() != '\0') return sys::error("read findings", "they end in the middle", EPROTO);
  size_t at = 0;
  const auto next = [&] {
    std::string text(input.c_str() + at);
    at += text.size() + 1;
    return text;
  };
  while (at < input.size()) {
    const std::string text = next();
    const std::string path = text.empty() ? std::string() : text.substr(1);
    if (text.rfind('i', 0) == 0) {
      request.implicit.push_back(path);
    } else if (text.rfind('w', 0) == 0) {
      request.whiteouts.push_back(path);
    } else if (text.rfind('l', 0) == 0 && at < input.size()) {
      request.lower_links.push_back({path, next()});
    } else {
      return sys::error("read findings", "they are not of this protocol", EPROTO);
    }
  }
  return {};
}

sys::Result<std::string> mend(const rapidjson::Document& document) {
  layer::MendRequest request;
  sys::JsonReader reader("mend");
  request.layers = reader.texts(&document, "layers");
  request.out_dir = reader.text(&document, "outDir");
  SYS_TRY(reader.done());
  SYS_TRY(read_findings(request));
  auto made = layer::mend(request);
  if (!made) return made.take_failure();
  JsonText json;
  return json.put("made", *made).text();
}

// Three busy threads beside a program that lives by its event loop: on two processors they held one turn in a hundred
// up by 24 ms, so by 9. A batch thread that wakes up does not push aside what runs (sched(7)); where nobody else wants
// to run it loses nothing.
void yield_to_program() {
  const sched_param parameters{};
  (void)sched_setscheduler(0, SCHED_BATCH, &parameters);
  (void)setpriority(PRIO_PROCESS, 0, kNice);
}

// Whoever asked has gone: the result is wanted by nobody, and the folder is about to be removed.
void end_with_control() {
  for (;;) {
    pollfd control{kControlFd, POLLRDHUP, 0};
    if (poll(&control, 1, -1) > 0 && (control.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) _exit(1);
  }
}

}  // namespace

int unpack_mode() {
  prepare_process(kLockFd + 1);
  yield_to_program();
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  const Request& request = first->request;
  // Not joined: it waits for as long as the process lives.
  auto* watcher = new layer::Thread;
  auto started = watcher->start(end_with_control);
  auto result = !started                 ? sys::Result<std::string>(started.take_failure())
                : request.op == "unpack" ? unpack(request.document)
                : request.op == "mend"
                    ? mend(request.document)
                    : sys::Result<std::string>(sys::error("unpack", "the only requests are unpack and mend", EPROTO));
  if (result) {
    reply_now(kControlFd, request.id, *result);
  } else {
    reply_error_now(kControlFd, request.id, result.failure());
  }
  _exit(result ? 0 : 1);
}

}  // namespace supervisor
