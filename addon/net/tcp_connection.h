// One forwarded TCP connection: client and container, and what is on the way in either direction.
//
// Small messages are copied, as two system calls are all they need; what fills the buffer is spliced through a pipe
// from there on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "net/event_loop.h"
#include "net/pipe_pool.h"
#include "sys/fd.h"

namespace net {

class TcpConnection;

// Told by a connection what it needs done after the present turn of the loop.
class TcpOwner {
 public:
  virtual void ended(TcpConnection& connection) = 0;     // may be destroyed now
  virtual void has_more(TcpConnection& connection) = 0;  // used up its share: pump() it again

 protected:
  ~TcpOwner() = default;
};

class TcpConnection {
 public:
  // `server` is a non-blocking socket whose connect(2) has been begun. Both sockets are watched from here on.
  TcpConnection(TcpOwner& owner, PipePool& pipes, sys::Fd client, sys::Fd server);
  sys::Result<void> watch(EventLoop& loop);
  ~TcpConnection();
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  // Moves what can be moved, up to a share that leaves other connections their turn.
  void pump();

 private:
  // A socket and what epoll, edge-triggered, has said about it and no EAGAIN has taken back.
  struct Side final : EventTarget {
    TcpConnection* connection = nullptr;
    sys::Fd fd;
    bool readable = false;
    bool writable = false;
    bool is_closing = false;  // its FIN or RST is known of: there will be no further event for it
    bool has_urgent = false;  // urgent data came: a read ends before it, with more behind (tcp(7))
    void ready(std::uint32_t events) override;
  };
  // At most one of `left` and the pipe has bytes in it.
  struct Direction {
    Side& from;
    Side& to;
    std::string left;  // copied, and not taken by `to` yet
    Pipe pipe;
    std::size_t in_pipe = 0;
    bool is_bulk = false;
    bool at_end = false;   // `from` has sent its FIN
    bool is_done = false;  // and `to` has been given all before it; or `to` takes no more
  };
  enum class Moved { kMore, kStalled, kShareUsed, kReset };

  void finish_connect();
  Moved move(Direction& direction);
  Moved step(Direction& direction);
  Moved copy(Direction& direction);
  Moved fill(Direction& direction);
  Moved drain(Direction& direction);
  Moved send_failed(Direction& direction);
  void release_pipe(Direction& direction);
  void end(bool reset);

  TcpOwner& owner_;
  PipePool& pipes_;
  Side client_;
  Side server_;
  Direction up_{client_, server_, {}, {}, 0, false, false, false};
  Direction down_{server_, client_, {}, {}, 0, false, false, false};
  bool is_connected_ = false;
  bool is_broken_ = false;  // one side takes no more bytes: at the end the other gets a reset, not a FIN
  bool has_ended_ = false;
};

}  // namespace net
