// Accepts connections on published TCP ports and owns them.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "net/event_loop.h"
#include "net/pipe_pool.h"
#include "net/tcp_connection.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

class TcpForward final : public TcpOwner {
 public:
  // At most `connections` and `pipes` at a time. `control` is sent 'p' when accepting pauses for that reason, 'r' when
  // it goes on.
  TcpForward(EventLoop& loop, std::size_t connections, std::size_t pipes, int control);

  // Connections to `listener` go on to `target`.
  sys::Result<void> add(sys::Fd listener, const sockaddr_in& target);

  // After each turn of the loop: frees what ended, serves who used up its share. Returns for how long the loop may wait
  // (-1: for ever).
  int settle();

 private:
  struct Acceptor final : EventTarget {
    TcpForward* forward = nullptr;
    sys::Fd fd;
    sockaddr_in target{};
    void ready(std::uint32_t events) override;
  };
  void accept_from(Acceptor& acceptor);
  void begin(sys::Fd client, const sockaddr_in& target);
  void set_paused(bool paused);
  void free_ended();

  void ended(TcpConnection& connection) override { ended_.push_back(&connection); }
  void has_more(TcpConnection& connection) override { busy_.push_back(&connection); }

  EventLoop& loop_;
  std::size_t limit_;
  int control_;
  PipePool pipes_;
  std::list<Acceptor> acceptors_;  // their addresses must not change
  std::unordered_map<TcpConnection*, std::unique_ptr<TcpConnection>> connections_;
  std::vector<TcpConnection*> ended_, busy_;
  bool is_paused_ = false;
  bool host_refused_ = false;  // paused for want of the host's memory or descriptors, not of ours
};

}  // namespace net
