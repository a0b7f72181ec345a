#include "net/tcp_forward.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace net {
namespace {

constexpr int kAcceptsInARow = 64;  // before connections that exist get their turn
constexpr int kRetryMs = 100;       // after the host refused a descriptor or memory

void drop_with_reset(sys::Fd client) {
  linger now{1, 0};
  (void)setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace

TcpForward::TcpForward(EventLoop& loop, std::size_t connections, std::size_t pipes, int control)
    : loop_(loop), limit_(connections), control_(control), pipes_(pipes) {}

sys::Result<void> TcpForward::add(sys::Fd listener, const sockaddr_in& target) {
  Acceptor& acceptor = acceptors_.emplace_back();
  acceptor.forward = this;
  acceptor.fd = std::move(listener);
  acceptor.target = target;
  return loop_.watch(acceptor.fd.get(), EPOLLIN, acceptor);
}

void TcpForward::Acceptor::ready(std::uint32_t) { forward->accept_from(*this); }

void TcpForward::accept_from(Acceptor& acceptor) {
  for (int i = 0; i < kAcceptsInARow; i++) {
    if (connections_.size() >= limit_) return set_paused(true);
    sys::Fd client(accept4(acceptor.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (client) {
      begin(std::move(client), acceptor.target);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The connection stays in the backlog and would wake us at once, for ever.
      host_refused_ = true;
      return set_paused(true);
    } else if (errno == EAGAIN) {
      return;
    }  // else an error of that one connection (accept(2)): the next
  }
}

void TcpForward::begin(sys::Fd client, const sockaddr_in& target) {
  sys::Fd server(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!server) return drop_with_reset(std::move(client));
  int retries = 3;  // 15 s in all, instead of two minutes for an address that does not answer
  (void)setsockopt(server.get(), IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof retries);
  int result = connect(server.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target);
  if (result != 0 && errno != EINPROGRESS) return drop_with_reset(std::move(client));
  auto connection = std::make_unique<TcpConnection>(*this, pipes_, std::move(client), std::move(server));
  if (!connection->watch(loop_)) return;
  TcpConnection* key = connection.get();
  connections_.emplace(key, std::move(connection));
}

void TcpForward::set_paused(bool paused) {
  if (paused == is_paused_) return;
  is_paused_ = paused;
  for (Acceptor& acceptor : acceptors_) loop_.change(acceptor.fd.get(), paused ? 0U : EPOLLIN, acceptor);
  // News, not a request: if nobody reads it, it is lost.
  (void)send(control_, paused ? "p" : "r", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void TcpForward::free_ended() {
  if (ended_.empty()) return;
  auto is_over = [this](TcpConnection* connection) {
    return std::find(ended_.begin(), ended_.end(), connection) != ended_.end();
  };
  std::erase_if(busy_, is_over);
  for (TcpConnection* connection : ended_) connections_.erase(connection);
  ended_.clear();
}

int TcpForward::settle() {
  std::vector<TcpConnection*> busy;
  busy.swap(busy_);
  for (TcpConnection* connection : busy) connection->pump();  // of one that has ended, nothing
  free_ended();
  bool refused = std::exchange(host_refused_, false);
  // Not at the first free place: accepting would go on and off with each connection.
  if (is_paused_ && !refused && connections_.size() <= limit_ - limit_ / 16) set_paused(false);
  if (!busy_.empty()) return 0;
  return refused ? kRetryMs : -1;
}

}  // namespace net
