#include "supervisor/terminal_relay.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace supervisor {
namespace {

constexpr size_t kReadSize = 65536;
constexpr size_t kInputLimit = 262144;

void make_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

sys::Result<void> TerminalRelay::start(sys::Fd master) {
  make_nonblocking(master.get());
  make_nonblocking(out_);
  master_ = std::move(master);
  SYS_TRY(loop_.watch(master_.get(), EPOLLIN, [this](uint32_t events) { on_master(events); }));
  make_nonblocking(in_);
  watch_in();
  return {};
}

void TerminalRelay::watch_in() {
  if (watching_in_ || in_ended_) return;
  // epoll refuses /dev/null, from which nothing will come either.
  watching_in_ = loop_.watch(in_, EPOLLIN, [this](uint32_t) { on_in(); }).ok();
}

// Not a change of its events: a closed pipe would go on being told.
void TerminalRelay::forget_in() {
  if (watching_in_) loop_.forget(in_);
  watching_in_ = false;
}

void TerminalRelay::on_in() {
  char data[kReadSize];
  const ssize_t size = read(in_, data, sizeof data);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // A terminal's input ends when the user types the end-of-file character, not with who types.
  in_ended_ = size <= 0;
  if (size > 0) write_input(std::string_view(data, static_cast<size_t>(size)));
  if (in_ended_ || input_full()) forget_in();
}

void TerminalRelay::on_master(uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush_input();
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) == 0 || !output_.empty()) return;
  if (read_master()) {
    flush_output();
  } else {
    loop_.forget(master_.get());
  }
}

// False when there is nothing more to come: EIO after the last slave was closed.
bool TerminalRelay::read_master() {
  char data[kReadSize];
  const ssize_t size = read(master_.get(), data, sizeof data);
  if (size > 0) output_.append(data, static_cast<size_t>(size));
  return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

// While the client has not taken what was read, nothing more is read: the program waits, as on a slow terminal.
void TerminalRelay::flush_output() {
  size_t done = 0;
  while (done < output_.size()) {
    const ssize_t written = write(out_, output_.data() + done, output_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) break;
    if (written < 0) {
      done = output_.size();  // the client does not want it any more
      break;
    }
    done += static_cast<size_t>(written);
  }
  output_.erase(0, done);
  watch_as_needed();
  if (output_.empty() && finishing_) output_done();
}

void TerminalRelay::flush_input() {
  const bool was_full = input_full();
  size_t done = 0;
  while (done < input_.size()) {
    const ssize_t written = write(master_.get(), input_.data() + done, input_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) break;
    if (written < 0) {
      done = input_.size();
      break;
    }
    done += static_cast<size_t>(written);
  }
  input_.erase(0, done);
  watch_as_needed();
  if (was_full && !input_full()) {
    watch_in();
    on_input_room_();
  }
}

void TerminalRelay::watch_as_needed() {
  const bool blocked = !output_.empty();
  if (master_)
    loop_.change(master_.get(), (blocked ? 0U : uint32_t{EPOLLIN}) | (input_.empty() ? 0U : uint32_t{EPOLLOUT}));
  if (blocked == watching_out_) return;
  watching_out_ = blocked;
  if (!blocked) {
    loop_.forget(out_);
  } else if (!loop_.watch(out_, EPOLLOUT, [this](uint32_t) { flush_output(); })) {
    // epoll refuses regular files and /dev/null, but those never block either.
    watching_out_ = false;
    output_.clear();
  }
}

void TerminalRelay::write_input(std::string_view data) {
  if (!master_) return;
  input_.append(data);
  flush_input();
}

bool TerminalRelay::input_full() const { return input_.size() >= kInputLimit; }

sys::Result<void> TerminalRelay::resize(uint16_t columns, uint16_t rows) {
  winsize size{};
  size.ws_col = columns;
  size.ws_row = rows;
  if (ioctl(master_.get(), TIOCSWINSZ, &size) < 0) return sys::errno_error("resize");
  return {};
}

void TerminalRelay::finish(std::function<void()> done) {
  finishing_ = true;
  done_ = std::move(done);
  if (output_.empty()) output_done();
}

// Called when the client has everything that was read: reads on what the terminal still has, until it has nothing.
void TerminalRelay::output_done() {
  const size_t before = output_.size();
  if (master_ && read_master() && output_.size() > before) {
    flush_output();
    return;
  }
  close();
  if (done_) std::exchange(done_, nullptr)();
}

void TerminalRelay::close() {
  if (watching_out_) loop_.forget(out_);
  watching_out_ = false;
  forget_in();
  in_ended_ = true;
  if (master_) loop_.forget(master_.get());
  master_.reset();
}

}  // namespace supervisor
