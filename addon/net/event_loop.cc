#include "net/event_loop.h"

#include <array>
#include <cerrno>
#include <chrono>

namespace net {

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

sys::Result<EventLoop> EventLoop::create() {
  sys::Fd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd) return sys::errno_error("epoll_create1");
  return EventLoop(std::move(fd));
}

sys::Result<void> EventLoop::watch(int fd, std::uint32_t events, EventTarget& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  if (epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return sys::errno_error("epoll_ctl");
  return {};
}

void EventLoop::change(int fd, std::uint32_t events, EventTarget& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  (void)epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event);  // cannot fail for a descriptor that is watched
}

sys::Result<void> EventLoop::turn(int timeout_ms) {
  std::array<epoll_event, 128> events;
  int count = epoll_wait(fd_.get(), events.data(), events.size(), timeout_ms);
  if (count < 0 && errno != EINTR) return sys::errno_error("epoll_wait");
  for (int i = 0; i < count; i++) static_cast<EventTarget*>(events[i].data.ptr)->ready(events[i].events);
  return {};
}

}  // namespace net
