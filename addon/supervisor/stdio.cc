#include "supervisor/stdio.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace supervisor {
namespace {

constexpr size_t kReadSize = 262144;
constexpr int kPipeSize = 256 * 1024;
constexpr size_t kInputLimit = 262144;
constexpr size_t kDrainLimit = 1 << 20;  // more than a pipe or a terminal can hold

}  // namespace

Stdio::Stdio(Loop& loop, LogWriter& log, std::function<void()> on_output, std::function<void()> on_input_room)
    : loop_(loop), log_(log), on_output_(std::move(on_output)), on_input_room_(std::move(on_input_room)) {}

sys::Result<int> Stdio::open_output(Stream stream) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return sys::errno_error("pipe2");
  // A larger pipe means fewer switches; refused where the user's pipes are over their limit (pipe(7)), which is no
  // matter.
  fcntl(ends[1], F_SETPIPE_SZ, kPipeSize);
  sources_.push_back(Source{sys::Fd(ends[0]), stream});
  child_ends_.emplace_back(ends[1]);
  return ends[1];
}

sys::Result<jail::Stdio> Stdio::open(bool terminal, bool open_stdin) {
  close();
  had_process_ = true;
  open_stdin_ = open_stdin;
  if (terminal) return jail::Stdio{};
  int in = -1;
  if (open_stdin) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return sys::errno_error("pipe2");
    in = ends[0];
    input_.reset(ends[1]);
    // Only our end: O_NONBLOCK belongs to the open file, and the program's end must block as it expects.
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
  } else {
    in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0) return sys::errno_error("open", "/dev/null");
  }
  child_ends_.emplace_back(in);
  auto out = open_output(Stream::kStdout);
  if (!out) return out.take_failure();
  auto err = open_output(Stream::kStderr);
  if (!err) return err.take_failure();
  return jail::Stdio{in, *out, *err};
}

void Stdio::started(sys::Fd master) {
  child_ends_.clear();
  if (master) {
    terminal_ = master.get();
    sources_.push_back(Source{std::move(master), Stream::kStdout});
  }
  for (Source& source : sources_) {
    const int fd = source.fd.get();
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (!loop_.watch(fd, EPOLLIN, [this, fd](uint32_t events) {
          if ((events & EPOLLOUT) != 0) flush_input();
          if ((events & ~static_cast<uint32_t>(EPOLLOUT)) == 0) return;
          const auto found =
              std::find_if(sources_.begin(), sources_.end(), [fd](const Source& s) { return s.fd.get() == fd; });
          if (found != sources_.end() && !read_source(*found)) close_source(*found);
        })) {
      close_source(source);
    }
  }
  flush_input();
}

char* Stdio::buffer() {
  if (!buffer_) buffer_.reset(new char[kReadSize]);
  return buffer_.get();
}

// False when the stream has come to its end.
bool Stdio::read_source(Source& source) {
  const ssize_t size = read(source.fd.get(), buffer(), kReadSize);
  // A pty's master gives EIO when the last slave is closed.
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) return false;
  log_.append(source.stream, buffer(), static_cast<size_t>(size));
  on_output_();
  return true;
}

void Stdio::close_source(Source& source) {
  if (!source.fd) return;
  loop_.forget(source.fd.get());
  if (source.fd.get() == terminal_) terminal_ = -1;
  source.fd.reset();
}

void Stdio::drain() {
  for (Source& source : sources_) {
    if (!source.fd) continue;
    // With the host's pid namespace somebody may go on writing: only what fits in the pipe can be from before the end.
    for (size_t drained = 0; drained < kDrainLimit;) {
      const ssize_t size = read(source.fd.get(), buffer(), kReadSize);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) break;
      log_.append(source.stream, buffer(), static_cast<size_t>(size));
      drained += static_cast<size_t>(size);
    }
  }
  on_output_();
  close();
}

void Stdio::write_input(std::string_view data) {
  if (input_ended_) return;
  pending_input_.append(data);
  flush_input();
}

void Stdio::end_input() {
  if (terminal_ >= 0) return;  // its input ends when the user types the end-of-file character
  input_ended_ = true;
  flush_input();
}

bool Stdio::input_full() const { return pending_input_.size() >= kInputLimit; }

void Stdio::flush_input() {
  const int fd = terminal_ >= 0 ? terminal_ : input_.get();
  if (fd < 0) return;
  const bool was_full = input_full();
  size_t done = 0;
  bool broken = false;
  while (done < pending_input_.size()) {
    const ssize_t written = write(fd, pending_input_.data() + done, pending_input_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      broken = errno != EAGAIN;
      break;
    }
    done += static_cast<size_t>(written);
  }
  pending_input_.erase(0, done);
  if (broken) {
    // EPIPE: the program has closed its stdin. What follows is dropped, as a shell's pipe would.
    pending_input_.clear();
    if (fd != terminal_) close_input();
  }
  const bool waiting = !pending_input_.empty();
  if (fd == terminal_) {
    loop_.change(fd, waiting ? EPOLLIN | EPOLLOUT : EPOLLIN);
  } else if (input_ && waiting != input_watched_) {
    if (waiting) {
      input_watched_ = loop_.watch(fd, EPOLLOUT, [this](uint32_t) { flush_input(); }).ok();
    } else {
      loop_.forget(fd);
      input_watched_ = false;
    }
  }
  if (!waiting && input_ended_) close_input();
  if (was_full && !input_full()) on_input_room_();
}

void Stdio::close_input() {
  if (input_watched_) loop_.forget(input_.get());
  input_watched_ = false;
  input_.reset();
  input_ended_ = true;
}

sys::Result<void> Stdio::resize(uint16_t columns, uint16_t rows) {
  if (terminal_ < 0) return {};
  winsize size{};
  size.ws_col = columns;
  size.ws_row = rows;
  if (ioctl(terminal_, TIOCSWINSZ, &size) < 0) return sys::errno_error("resize");
  return {};
}

void Stdio::close() {
  for (Source& source : sources_) close_source(source);
  sources_.clear();
  child_ends_.clear();
  if (input_) close_input();
  // The next process begins with an open stdin again, also when the one before had seen its end; what is sent between
  // the two is for the next one.
  if (had_process_) {
    const bool was_full = input_full();
    had_process_ = false;
    input_ended_ = false;
    pending_input_.clear();
    if (was_full) on_input_room_();
  }
}

}  // namespace supervisor
