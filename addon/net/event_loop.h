// epoll for the forwarder: a target for each descriptor, and nothing else.
#pragma once

#include <sys/epoll.h>

#include <cstdint>

#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// Milliseconds of a clock that nobody sets.
std::int64_t now_ms();

class EventTarget {
 public:
  // Events of one descriptor: EPOLLIN and so on. It may not be destroyed before the events of this turn are all
  // delivered.
  virtual void ready(std::uint32_t events) = 0;

 protected:
  ~EventTarget() = default;
};

class EventLoop {
 public:
  static sys::Result<EventLoop> create();

  // `target` gets the descriptor's events until it is closed.
  sys::Result<void> watch(int fd, std::uint32_t events, EventTarget& target);
  void change(int fd, std::uint32_t events, EventTarget& target);

  // Delivers one batch; waits for it at most that long (-1: for ever, 0: not at all).
  sys::Result<void> turn(int timeout_ms);

 private:
  explicit EventLoop(sys::Fd fd) : fd_(std::move(fd)) {}
  sys::Fd fd_;
};

}  // namespace net
