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

struct Answer {
  std::string payload;
  std::vector<sys::Fd> fds;
};

sys::Result<void> check_version(std::string_view payload) {
  rapidjson::Document document;
  SYS_TRY(sys::parse_json(document, payload));
  sys::JsonReader reader("hello");
  const int64_t theirs = reader.integer(&document, "version", 0, 1 << 30).value_or(0);
  SYS_TRY(reader.done());
  if (theirs != protocol_version()) return version_error(theirs, protocol_version());
  return {};
}

// What the supervisor replies to the only question that is open.
sys::Result<Answer> ask(int socket, const std::string& question) {
  SYS_TRY(sys::write_all(socket, question));
  FrameReader reader;
  Answer answer;
  char data[kReadSize];
  for (;;) {
    Frame frame;
    const FrameReader::Next next = reader.next(frame);
    if (next == FrameReader::Next::kBroken) return sys::error("join", "what arrived is not a frame", EPROTO);
    if (next == FrameReader::Next::kFrame) {
      if (static_cast<FrameType>(frame.type) == FrameType::kServerHello) SYS_TRY(check_version(frame.payload));
      if (static_cast<FrameType>(frame.type) != FrameType::kReply) continue;
      answer.payload = frame.payload;
      return answer;
    }
    auto received = sys::receive_fds(socket, data, sizeof data);
    // A socket that is closed with something of ours unread in it is reset.
    const bool ended = received ? received->size == 0 : received.failure().err == ECONNRESET;
    if (ended) return sys::error("join", "the container has just ended", ESRCH);
    if (!received) return received.take_failure();
    for (sys::Fd& fd : received->fds) answer.fds.push_back(std::move(fd));
    reader.append(data, received->size);
  }
}

sys::Result<void> parse_outcome(rapidjson::Document& document, std::string_view payload) {
  SYS_TRY(sys::parse_json(document, payload));
  sys::JsonReader reader("join");
  if (reader.flag(&document, "ok")) return reader.done();
  const sys::Json* error = reader.object(&document, "error");
  sys::Error failure = sys::error(reader.text(error, "step", "join"), reader.text(error, "message"));
  failure.err = static_cast<int>(reader.integer(error, "errno", 0, 4096).value_or(0));
  return failure;
}

sys::Result<JoinTarget> parse_reply(std::string_view payload, std::vector<sys::Fd> fds, Wanted wanted) {
  rapidjson::Document document;
  SYS_TRY(parse_outcome(document, payload));
  sys::JsonReader reader("join");
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
  auto answer = ask(socket->get(), question);
  if (!answer) return answer.take_failure();
  auto target = parse_reply(answer->payload, std::move(answer->fds), wanted);
  if (target && wanted == Wanted::kWriting) target->connection = std::move(*socket);
  return target;
}

sys::Result<bool> suspend_container(int connection) {
  JsonText request;
  auto answer = ask(connection, encode_frame(FrameType::kRequest, request.put("id", 2).put("op", "suspend").text()));
  if (!answer) return answer.take_failure();
  rapidjson::Document document;
  SYS_TRY(parse_outcome(document, answer->payload));
  sys::JsonReader reader("suspend");
  const bool running = reader.flag(&document, "running");
  SYS_TRY(reader.done());
  return running;
}

sys::Result<void> resume_container(int connection) {
  JsonText request;
  auto answer = ask(connection, encode_frame(FrameType::kRequest, request.put("id", 3).put("op", "resume").text()));
  if (!answer) return answer.take_failure();
  rapidjson::Document document;
  return parse_outcome(document, answer->payload);
}

}  // namespace supervisor
