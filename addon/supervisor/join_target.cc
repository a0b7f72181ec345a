#include "supervisor/join_target.h"

#include <cerrno>

#include "supervisor/frames.h"
#include "supervisor/handshake.h"
#include "supervisor/json_text.h"
#include "sys/bytes.h"
#include "sys/json.h"
#include "sys/unix_socket.h"

namespace supervisor {
namespace {

constexpr size_t kReadSize = 65536;
sys::Result<JoinTarget> parse_reply(std::string_view payload, std::vector<sys::Fd> fds, Wanted wanted) {
  rapidjson::Document document;
  SYS_TRY(sys::parse_json(document, payload));
  sys::JsonReader reader("join");
  if (!reader.flag(&document, "ok")) {
    const sys::Json* error = reader.object(&document, "error");
    sys::Error failure = sys::error(reader.text(error, "step", "join"), reader.text(error, "message"));
    failure.err = static_cast<int>(reader.integer(error, "errno", 0, 4096).value_or(0));
    return failure;
  }
  const std::string status = reader.text(&document, "status");
  if (status == "paused" && wanted == Wanted::kRunning) return sys::error("join", "the container is paused", EBUSY);
  const bool runs = status != "stopped";
  const size_t fixed = runs ? 2 : 1;  // the pidfd, and the lock
  if (fds.size() < fixed) return sys::error("join", "the supervisor sent no descriptors", EPROTO);
  JoinTarget result;
  if (runs) result.target.pidfd = std::move(fds[0]);
  result.target.rootless = reader.flag(&document, "rootless");
  result.lock = std::move(fds[fixed - 1]);
  for (size_t i = fixed; i < fds.size(); i++) result.cgroup_folders.push_back(std::move(fds[i]));
  result.bundle = reader.text(&document, "bundle");
  result.id = reader.text(&document, "container");
  result.seccomp_filter = reader.text(&document, "seccompFilter");
  SYS_TRY(reader.done());
  return result;
}

sys::Result<void> check_version(std::string_view payload) {
  rapidjson::Document document;
  SYS_TRY(sys::parse_json(document, payload));
  sys::JsonReader reader("hello");
  const int64_t theirs = reader.integer(&document, "version", 0, 1 << 30).value_or(0);
  SYS_TRY(reader.done());
  if (theirs != protocol_version()) return version_error(theirs, protocol_version());
  return {};
}

}  // namespace

sys::Result<JoinTarget> ask_for_target(const std::string& path, Wanted wanted) {
  auto socket = sys::connect_unix(path);
  if (!socket) return socket.take_failure();
  JsonText hello;
  JsonText request;
  request.put("id", 1).put("op", "join");
  if (wanted != Wanted::kRunning) request.put("stopped", true);
  if (wanted == Wanted::kWriting) request.put("write", true);
  const std::string question = encode_frame(FrameType::kClientHello, hello.put("version", protocol_version()).text()) +
                               encode_frame(FrameType::kRequest, request.text());
  SYS_TRY(sys::write_all(socket->get(), question));

  FrameReader reader;
  std::vector<sys::Fd> fds;
  char data[kReadSize];
  for (;;) {
    Frame frame;
    const FrameReader::Next next = reader.next(frame);
    if (next == FrameReader::Next::kBroken) return sys::error("join", "what arrived is not a frame", EPROTO);
    if (next == FrameReader::Next::kFrame) {
      if (static_cast<FrameType>(frame.type) == FrameType::kServerHello) SYS_TRY(check_version(frame.payload));
      if (static_cast<FrameType>(frame.type) != FrameType::kReply) continue;
      auto target = parse_reply(frame.payload, std::move(fds), wanted);
      if (target && wanted == Wanted::kWriting) target->connection = std::move(*socket);
      return target;
    }
    auto received = sys::receive_fds(socket->get(), data, sizeof data);
    // A socket that is closed with something of ours unread in it is reset.
    const bool ended = received ? received->size == 0 : received.failure().err == ECONNRESET;
    if (ended) return sys::error("join", "the container has just ended", ESRCH);
    if (!received) return received.take_failure();
    for (sys::Fd& fd : received->fds) fds.push_back(std::move(fd));
    reader.append(data, received->size);
  }
}

}  // namespace supervisor
