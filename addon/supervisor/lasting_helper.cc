#include "supervisor/lasting_helper.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "supervisor/clock.h"

namespace supervisor {
namespace {

// Between two starts: what dies as soon as it runs shall not keep the machine busy.
constexpr int64_t kRestMs = 1000;

}  // namespace

sys::Result<void> LastingHelper::run(Start start) {
  loop_.cancel(again_);
  // Nobody's child now: reaped as an orphan is.
  if (helper_.control) loop_.forget(helper_.control.get());
  const net::Helper before = std::exchange(helper_, {});
  start_ = std::move(start);
  return this->start();
}

sys::Result<void> LastingHelper::start() {
  started_ms_ = monotonic_ms();
  auto started = start_();
  if (!started) return started.take_failure();
  helper_ = std::move(*started);
  return loop_.watch(helper_.control.get(), EPOLLIN, [this](uint32_t) { on_news(); });
}

// What it says is not for us; that it says nothing any more is.
void LastingHelper::on_news() {
  char news[64];
  const ssize_t size = read(helper_.control.get(), news, sizeof news);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) start_again();
}

// What comes for it meanwhile waits in its sockets, which are its owner's too.
void LastingHelper::start_again() {
  end_present();
  const int64_t rest = std::max<int64_t>(started_ms_ + kRestMs - monotonic_ms(), 0);
  again_ = loop_.after(rest, [this] {
    again_ = 0;
    if (!start()) start_again();
  });
}

void LastingHelper::end_present() {
  if (helper_.control) loop_.forget(helper_.control.get());
  helper_.control.reset();
  if (helper_.pid < 0) return;
  kill(helper_.pid, SIGKILL);
  while (waitpid(helper_.pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  helper_.pid = -1;
}

void LastingHelper::end() {
  loop_.cancel(again_);
  end_present();
}

}  // namespace supervisor
