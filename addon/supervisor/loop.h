// One thread's event loop: descriptors and timers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class Loop {
 public:
  using Handler = std::function<void(uint32_t events)>;
  using Task = std::function<void()>;
  using Timer = uint64_t;  // 0 is no timer

  static sys::Result<Loop> create();

  // `handler` runs while `events` (EPOLLIN, EPOLLOUT; EPOLLHUP and EPOLLERR always) hold. `fd` stays the caller's, who
  // forgets it before closing it. A handler may forget itself or others.
  sys::Result<void> watch(int fd, uint32_t events, Handler handler);
  void change(int fd, uint32_t events);
  void forget(int fd);

  // `task` runs once, after `ms`.
  Timer after(int64_t ms, Task task);
  void cancel(Timer& timer);

  // Runs until stop(); returns its code.
  int run();
  void stop(int code) { stop_code_ = code; }

 private:
  struct Watch {
    uint32_t generation;
    Handler handler;
  };

  void run_timers();
  [[nodiscard]] int next_timeout() const;

  sys::Fd epoll_;
  uint32_t generation_ = 0;
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  Timer last_timer_ = 0;
  std::map<std::pair<int64_t, Timer>, Task> timers_;  // by deadline
  std::unordered_map<Timer, int64_t> deadlines_;
  std::optional<int> stop_code_;
};

}  // namespace supervisor
