#include "net/tcp_connection.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace net {
namespace {

// The size of a pipe (16 pages, unless they are huge fragments): one splice fills it at most.
constexpr std::size_t kChunk = 65536;
// What is read at once by copying. It bounds what a peer that does not read can make us keep without a pipe.
constexpr std::size_t kCopied = 16384;
// Chunks in one direction before other connections get their turn.
constexpr int kShare = 16;

void set_option(int fd, int level, int name, int value) { (void)setsockopt(fd, level, name, &value, sizeof value); }

void tune(int fd) {
  // What comes in small pieces goes out so: whether to coalesce was the sender's decision.
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // Urgent data is a byte of the stream with a mark on it: the mark is lost, the byte is not.
  set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
  // A dead peer is on the far side of us, where the other end's own keep-alives cannot see it: found after 30 + 6 × 10
  // s.
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 6);
}

// close(2) then sends a RST and keeps nothing (socket(7), SO_LINGER).
void reset_on_close(int fd) {
  linger now{1, 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace

TcpConnection::TcpConnection(TcpOwner& owner, PipePool& pipes, sys::Fd client, sys::Fd server)
    : owner_(owner), pipes_(pipes) {
  client_.connection = server_.connection = this;
  client_.fd = std::move(client);
  server_.fd = std::move(server);
  tune(client_.fd.get());
  tune(server_.fd.get());
}

TcpConnection::~TcpConnection() {
  release_pipe(up_);
  release_pipe(down_);
}

sys::Result<void> TcpConnection::watch(EventLoop& loop) {
  constexpr std::uint32_t kAll = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  auto result = loop.watch(client_.fd.get(), kAll, client_);
  if (result) result = loop.watch(server_.fd.get(), kAll, server_);
  if (!result) reset_on_close(client_.fd.get());
  return result;
}

void TcpConnection::Side::ready(std::uint32_t events) {
  if (connection->has_ended_) return;  // both sides can be in one batch
  // An error shows itself to whichever call comes next, after the bytes that came before it.
  if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) is_closing = true;
  if (events & EPOLLPRI) has_urgent = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) writable = true;
  if (!connection->is_connected_ && this == &connection->server_) connection->finish_connect();
  connection->pump();
}

void TcpConnection::finish_connect() {
  int err = 0;
  socklen_t size = sizeof err;
  if (!server_.writable) return;
  if (getsockopt(server_.fd.get(), SOL_SOCKET, SO_ERROR, &err, &size) != 0 || err != 0) {
    end(true);  // nobody listens in the container: the client is told so in the only way left after its handshake
    return;
  }
  is_connected_ = true;
}

void TcpConnection::pump() {
  if (!is_connected_ || has_ended_) return;
  Moved up = move(up_);
  Moved down = up == Moved::kReset ? Moved::kReset : move(down_);
  if (up == Moved::kReset || down == Moved::kReset) {
    end(true);
  } else if (up_.is_done && down_.is_done) {
    end(is_broken_);
  } else if (up == Moved::kShareUsed || down == Moved::kShareUsed) {
    owner_.has_more(*this);
  }
}

TcpConnection::Moved TcpConnection::move(Direction& direction) {
  for (int chunk = 0; !direction.is_done && chunk < kShare; chunk++) {
    Moved moved = step(direction);
    if (moved != Moved::kMore) return moved;
  }
  return direction.is_done ? Moved::kStalled : Moved::kShareUsed;
}

TcpConnection::Moved TcpConnection::step(Direction& direction) {
  if (!direction.left.empty() || direction.in_pipe > 0) return drain(direction);
  if (direction.at_end) {
    release_pipe(direction);
    (void)shutdown(direction.to.fd.get(), SHUT_WR);  // half-close; fails only where the other end has reset already
    direction.is_done = true;
    return Moved::kStalled;
  }
  if (!direction.from.readable) {
    release_pipe(direction);
    direction.is_bulk = false;
    return Moved::kStalled;
  }
  if (direction.is_bulk && !direction.pipe) direction.pipe = pipes_.take();
  return direction.pipe ? fill(direction) : copy(direction);
}

TcpConnection::Moved TcpConnection::copy(Direction& direction) {
  static char buffer[kCopied];  // one thread, and never kept over a call
  ssize_t size = recv(direction.from.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) direction.from.readable = false;
  if (size < 0) return errno == EAGAIN || errno == EINTR ? Moved::kMore : Moved::kReset;
  if (size == 0) {
    direction.at_end = true;
    return Moved::kMore;
  }
  // A short read has emptied the socket (epoll(7)) and what comes later is a new event, unless the end has been told of
  // already, or the read stopped at urgent data. (splice(2) stops there for good.)
  bool is_full = size == sizeof buffer;
  const Side& from = direction.from;
  direction.is_bulk = is_full && !from.has_urgent;
  if (!is_full && !from.is_closing && !from.has_urgent) direction.from.readable = false;
  ssize_t sent = 0;
  if (direction.to.writable)
    sent = send(direction.to.fd.get(), buffer, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return send_failed(direction);
  if (sent < 0 && errno == EAGAIN) direction.to.writable = false;
  sent = sent < 0 ? 0 : sent;
  direction.left.assign(buffer + sent, static_cast<std::size_t>(size - sent));
  return Moved::kMore;
}

// Gets the next bytes into the empty pipe, or the end.
TcpConnection::Moved TcpConnection::fill(Direction& direction) {
  ssize_t size = splice(direction.from.fd.get(), nullptr, direction.pipe.write_end.get(), nullptr, kChunk,
                        SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (size > 0) direction.in_pipe = static_cast<std::size_t>(size);
  if (size == 0) direction.at_end = true;
  if (size >= 0 || errno == EINTR) return Moved::kMore;
  if (errno != EAGAIN) return Moved::kReset;
  direction.from.readable = false;  // the pipe is empty, so that EAGAIN speaks of the socket
  return Moved::kMore;
}

// Gives `to` what has been taken from `from`.
TcpConnection::Moved TcpConnection::drain(Direction& direction) {
  if (!direction.to.writable) return Moved::kStalled;
  int to = direction.to.fd.get();
  bool is_copied = !direction.left.empty();
  ssize_t size = is_copied ? send(to, direction.left.data(), direction.left.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                           : splice(direction.pipe.read_end.get(), nullptr, to, nullptr, direction.in_pipe,
                                    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (size < 0 && errno == EAGAIN) {
    direction.to.writable = false;
    return Moved::kStalled;
  }
  if (size < 0) return errno == EINTR ? Moved::kMore : send_failed(direction);
  if (is_copied) direction.left.erase(0, static_cast<std::size_t>(size));
  if (is_copied && direction.left.empty()) direction.left = {};  // with its memory: most connections are idle
  if (!is_copied) direction.in_pipe -= static_cast<std::size_t>(size);
  return Moved::kMore;
}

// `to` takes no more, but what it had sent before is still to be delivered: a server may answer, and reset because it
// does not want the rest of the request.
TcpConnection::Moved TcpConnection::send_failed(Direction& direction) {
  release_pipe(direction);
  direction.left.clear();
  direction.is_done = is_broken_ = true;
  return Moved::kStalled;
}

void TcpConnection::release_pipe(Direction& direction) {
  if (!direction.pipe) return;
  pipes_.give(std::move(direction.pipe), direction.in_pipe == 0);
  direction.pipe = {};
  direction.in_pipe = 0;
}

void TcpConnection::end(bool reset) {
  has_ended_ = true;
  if (reset) {
    reset_on_close(client_.fd.get());
    reset_on_close(server_.fd.get());
  }
  owner_.ended(*this);
}

}  // namespace net
