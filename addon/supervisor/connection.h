// One client of the supervisor, or of a mode: frames in, frames out, in order, never blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "supervisor/frames.h"
#include "supervisor/loop.h"
#include "supervisor/protocol.h"
#include "sys/fd.h"
#include "sys/json.h"
#include "sys/result.h"

namespace supervisor {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Callbacks {
    std::function<void(Connection&, const Frame&)> frame;
    std::function<void(Connection&)> closed;  // once, when the peer or an error has ended it; not after close()
  };

  Connection(Loop& loop, sys::Fd socket) : loop_(loop), socket_(std::move(socket)) {}
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Frames are delivered from now on, those that `reader` already has first.
  sys::Result<void> start(Callbacks callbacks, FrameReader reader = {});

  // Queued; a peer that lets more than a few MiB pile up is cut off. `fds` go with the frame's first byte.
  void send(FrameType type, std::string_view payload, const std::vector<int>& fds = {});
  void reply(int64_t id, std::string_view members = "{}", const std::vector<int>& fds = {});
  void reply_error(int64_t id, const sys::Error& error);

  // Whether the peer has taken everything that was ever sent: not only from us, also from the kernel.
  [[nodiscard]] bool idle() const;
  // While paused, nothing more is read: the peer is slowed down.
  void pause(bool paused);
  void close();
  [[nodiscard]] bool open() const { return static_cast<bool>(socket_); }

  // What the supervisor remembers about this client.
  int64_t version = protocol_version();  // that it speaks
  bool hold = false;
  bool wants_state = false;
  bool wants_log = false;
  bool sends_stdin = false;
  bool writes = false;           // into the container's files, or reads them as they are, for as long as it is open
  std::optional<int> suspended;  // the run of the container that stands still for it

 private:
  void on_event(uint32_t events);
  void read_frames();
  void deliver();
  void flush();
  void fail();
  void watch_as_needed();

  Loop& loop_;
  sys::Fd socket_;
  Callbacks callbacks_;
  FrameReader reader_;
  std::string out_;
  bool paused_ = false;
  bool watching_output_ = false;
};

// A request's fields that every request has.
struct Request {
  int64_t id = 0;
  std::string op;
  rapidjson::Document document;
};
sys::Result<Request> parse_request(std::string_view payload);

struct TerminalSize {
  uint16_t columns = 0;
  uint16_t rows = 0;
};
// What a `resize` asks for: both are there, and a size that a terminal can have.
sys::Result<TerminalSize> parse_terminal_size(const Request& request);

}  // namespace supervisor
