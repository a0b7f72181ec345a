#include "supervisor/handshake.h"

#include <unistd.h>

#include <cerrno>

#include "supervisor/json_text.h"
#include "sys/bytes.h"

namespace supervisor {
namespace {

constexpr size_t kReadSize = 65536;

sys::Result<void> take_hello(int control, const Frame& frame, FirstRequest& first) {
  rapidjson::Document document;
  SYS_TRY(sys::parse_json(document, frame.payload));
  sys::JsonReader reader("hello");
  const auto version = reader.integer(&document, "version", 0, 1 << 30);
  first.hold = reader.flag(&document, "hold");
  JsonText json;
  SYS_TRY(
      sys::write_all(control, encode_frame(FrameType::kServerHello, json.put("version", protocol_version()).text())));
  if (version != protocol_version())
    return sys::error("hello", "this binary speaks version " + std::to_string(protocol_version()));
  return reader.done();
}

}  // namespace

sys::Result<FirstRequest> read_first_request(int control) {
  FirstRequest first;
  bool greeted = false;
  char data[kReadSize];
  for (;;) {
    Frame frame;
    const FrameReader::Next next = first.reader.next(frame);
    if (next == FrameReader::Next::kBroken) return sys::error("hello", "what arrived is not a frame", EPROTO);
    if (next == FrameReader::Next::kMore) {
      const ssize_t size = read(control, data, sizeof data);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return sys::errno_error("read control socket", {}, size == 0 ? ECONNRESET : errno);
      first.reader.append(data, static_cast<size_t>(size));
      continue;
    }
    const auto type = static_cast<FrameType>(frame.type);
    if (type == FrameType::kClientHello && !greeted) {
      SYS_TRY(take_hello(control, frame, first));
      greeted = true;
    } else if (type == FrameType::kRequest && greeted) {
      auto request = parse_request(frame.payload);
      if (!request) return request.take_failure();
      first.request = std::move(*request);
      return first;
    } else {
      return sys::error("hello", "frame out of order", EPROTO);
    }
  }
}

sys::Error version_error(int64_t container, int64_t asker) {
  return sys::error("version",
                    "the container is run by a dinghy of protocol version " + std::to_string(container) +
                        ", and this one speaks " + std::to_string(asker),
                    EPROTONOSUPPORT);
}

void reply_now(int control, int64_t id, std::string_view members) {
  JsonText json;
  const std::string text = json.put("id", id).put("ok", true).put_members(members).text();
  (void)sys::write_all(control, encode_frame(FrameType::kReply, text)).ok();
}

void reply_error_now(int control, int64_t id, const sys::Error& error) {
  JsonText json;
  const std::string text = json.put("id", id).put("ok", false).put_raw("error", error_json(error)).text();
  (void)sys::write_all(control, encode_frame(FrameType::kReply, text)).ok();
}

}  // namespace supervisor
