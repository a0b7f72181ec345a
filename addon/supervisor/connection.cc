#include "supervisor/connection.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <limits>

#include "supervisor/json_text.h"
#include "sys/unix_socket.h"

namespace supervisor {
namespace {

constexpr size_t kReadSize = 65536;
constexpr size_t kMaxQueued = 4 << 20;
constexpr int64_t kMaxId = int64_t{1} << 53;

}  // namespace

sys::Result<void> Connection::start(Callbacks callbacks, FrameReader reader) {
  callbacks_ = std::move(callbacks);
  reader_ = std::move(reader);
  SYS_TRY(loop_.watch(socket_.get(), EPOLLIN, [this](uint32_t events) { on_event(events); }));
  // The callbacks may drop the last reference to this.
  const auto self = shared_from_this();
  deliver();
  return {};
}

void Connection::on_event(uint32_t events) {
  const auto self = shared_from_this();
  if ((events & EPOLLOUT) != 0) flush();
  if (open() && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_frames();
}

void Connection::read_frames() {
  char data[kReadSize];
  const ssize_t size = recv(socket_.get(), data, sizeof data, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    // What a client sent before it went away counts, also where it was being slowed down.
    paused_ = false;
    deliver();
    fail();
    return;
  }
  reader_.append(data, static_cast<size_t>(size));
  deliver();
}

void Connection::deliver() {
  Frame frame;
  while (open() && !paused_) {
    const FrameReader::Next next = reader_.next(frame);
    if (next == FrameReader::Next::kMore) return;
    if (next == FrameReader::Next::kBroken) {
      fail();
      return;
    }
    callbacks_.frame(*this, frame);
  }
}

void Connection::send(FrameType type, std::string_view payload, const std::vector<int>& fds) {
  if (!open()) return;
  const std::string frame = encode_frame(type, payload);
  size_t sent = 0;
  if (!fds.empty()) {
    // Descriptors go with their own bytes: with earlier ones still queued they would arrive too early.
    flush();
    if (!open()) return;
    auto result = sys::send_fds(socket_.get(), frame.data(), frame.size(), fds);
    if (!result || !out_.empty()) {
      fail();
      return;
    }
    sent = *result;
  }
  out_.append(frame, sent);
  flush();
  if (out_.size() > kMaxQueued) fail();
}

void Connection::reply(int64_t id, std::string_view members, const std::vector<int>& fds) {
  JsonText json;
  send(FrameType::kReply, json.put("id", id).put("ok", true).put_members(members).text(), fds);
}

void Connection::reply_error(int64_t id, const sys::Error& error) {
  JsonText json;
  send(FrameType::kReply, json.put("id", id).put("ok", false).put_raw("error", error_json(error)).text());
}

bool Connection::idle() const {
  // unix(7): for a stream socket SIOCOUTQ counts what the peer has not read yet.
  int unread = 0;
  return out_.empty() && ioctl(socket_.get(), SIOCOUTQ, &unread) == 0 && unread == 0;
}

void Connection::pause(bool paused) {
  if (paused_ == paused || !open()) return;
  const auto self = shared_from_this();
  paused_ = paused;
  watch_as_needed();
  if (!paused_) deliver();
}

void Connection::flush() {
  size_t done = 0;
  while (done < out_.size()) {
    const ssize_t sent = ::send(socket_.get(), out_.data() + done, out_.size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) {
      out_.clear();
      fail();
      return;
    }
    done += static_cast<size_t>(sent);
  }
  out_.erase(0, done);
  if (watching_output_ != !out_.empty()) {
    watching_output_ = !out_.empty();
    watch_as_needed();
  }
}

void Connection::watch_as_needed() {
  loop_.change(socket_.get(), (paused_ ? 0U : uint32_t{EPOLLIN}) | (watching_output_ ? uint32_t{EPOLLOUT} : 0U));
}

void Connection::close() {
  if (!open()) return;
  loop_.forget(socket_.get());
  socket_.reset();
}

void Connection::fail() {
  if (!open()) return;
  close();
  if (callbacks_.closed) callbacks_.closed(*this);
}

sys::Result<Request> parse_request(std::string_view payload) {
  Request request;
  SYS_TRY(sys::parse_json(request.document, payload));
  sys::JsonReader reader("request");
  request.id = reader.integer(&request.document, "id", 0, kMaxId).value_or(0);
  request.op = reader.text(&request.document, "op");
  SYS_TRY(reader.done());
  return request;
}

sys::Result<TerminalSize> parse_terminal_size(const Request& request) {
  constexpr int64_t kMaxSize = std::numeric_limits<uint16_t>::max();
  sys::JsonReader reader(request.op);
  const auto columns = reader.integer(&request.document, "columns", 0, kMaxSize);
  const auto rows = reader.integer(&request.document, "rows", 0, kMaxSize);
  SYS_TRY(reader.done());
  // Also where JavaScript's NaN became null.
  if (!columns || !rows) return sys::error(request.op, "columns and rows must be given", EINVAL);
  return TerminalSize{static_cast<uint16_t>(*columns), static_cast<uint16_t>(*rows)};
}

}  // namespace supervisor
