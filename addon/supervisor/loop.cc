#include "supervisor/loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <climits>

#include "supervisor/clock.h"

namespace supervisor {
namespace {

constexpr int kBatch = 32;

uint64_t pack(int fd, uint32_t generation) { return (uint64_t{generation} << 32) | static_cast<uint32_t>(fd); }

}  // namespace

sys::Result<Loop> Loop::create() {
  Loop loop;
  loop.epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!loop.epoll_) return sys::errno_error("epoll_create1");
  return loop;
}

sys::Result<void> Loop::watch(int fd, uint32_t events, Handler handler) {
  auto entry = std::make_shared<Watch>(Watch{++generation_, std::move(handler)});
  epoll_event event{};
  event.events = events;
  event.data.u64 = pack(fd, entry->generation);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return sys::errno_error("epoll_ctl");
  watches_[fd] = std::move(entry);
  return {};
}

void Loop::change(int fd, uint32_t events) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = pack(fd, found->second->generation);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::forget(int fd) {
  if (watches_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Loop::Timer Loop::after(int64_t ms, Task task) {
  const Timer timer = ++last_timer_;
  const int64_t deadline = monotonic_ms() + std::max<int64_t>(ms, 0);
  timers_.emplace(std::pair(deadline, timer), std::move(task));
  deadlines_.emplace(timer, deadline);
  return timer;
}

void Loop::cancel(Timer& timer) {
  const auto found = deadlines_.find(timer);
  if (found != deadlines_.end()) {
    timers_.erase(std::pair(found->second, timer));
    deadlines_.erase(found);
  }
  timer = 0;
}

void Loop::run_timers() {
  const int64_t now = monotonic_ms();
  while (!timers_.empty() && timers_.begin()->first.first <= now && !stop_code_) {
    auto entry = timers_.extract(timers_.begin());
    deadlines_.erase(entry.key().second);
    entry.mapped()();
  }
}

int Loop::next_timeout() const {
  if (timers_.empty()) return -1;
  const int64_t left = timers_.begin()->first.first - monotonic_ms();
  return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
}

int Loop::run() {
  while (!stop_code_) {
    epoll_event events[kBatch];
    const int count = epoll_wait(epoll_.get(), events, kBatch, next_timeout());
    for (int i = 0; i < count && !stop_code_; i++) {
      const int fd = static_cast<int>(events[i].data.u64 & 0xffffffffU);
      const auto found = watches_.find(fd);
      // An earlier handler of this batch may have closed the descriptor, and its number may be another's by now.
      if (found == watches_.end() || pack(fd, found->second->generation) != events[i].data.u64) continue;
      const std::shared_ptr<Watch> entry = found->second;
      entry->handler(events[i].events);
    }
    run_timers();
  }
  return *stop_code_;
}

}  // namespace supervisor
