#include "net/udp_forward.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace net {
namespace {

constexpr std::int64_t kSilentMs = 90000;
constexpr int kSweepMs = 5000;
constexpr int kDatagramsInARow = 64;  // from one socket, before others get their turn
constexpr std::size_t kDatagramSize = 65536;

// One thread and never kept over a call: on the stack it would be 64 KiB deep in each handler.
std::array<std::byte, kDatagramSize> buffer;

}  // namespace

std::string UdpForward::Client::key(int socket) const {
  std::string key(reinterpret_cast<const char*>(&address), address_size);
  key.append(reinterpret_cast<const char*>(&local), sizeof local);
  key.append(reinterpret_cast<const char*>(&socket), sizeof socket);
  return key;
}

sys::Result<void> UdpForward::add(sys::Fd socket, const sockaddr_in& target) {
  Port& port = ports_.emplace_back();
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return sys::errno_error("SO_DOMAIN");
  port.forward = this;
  port.fd = std::move(socket);
  port.target = target;
  port.is_ipv6 = family == AF_INET6;
  return loop_.watch(port.fd.get(), EPOLLIN, port);
}

bool UdpForward::receive(const Port& port, void* data, std::size_t& size, Client& client) {
  alignas(cmsghdr) std::array<std::byte, 128> control;
  iovec vector{data, size};
  msghdr message{};
  message.msg_name = &client.address;
  message.msg_namelen = sizeof client.address;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t received = recvmsg(port.fd.get(), &message, MSG_DONTWAIT);
  if (received < 0) return false;
  size = static_cast<std::size_t>(received);
  client.address_size = message.msg_namelen;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      // ipi_spec_dst, not ipi_addr: for a broadcast the latter is no address to answer from (ip(7)).
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      std::memcpy(&client.local, &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
    }
    if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      client.local = info.ipi6_addr;
    }
  }
  return true;
}

void UdpForward::Port::ready(std::uint32_t) {
  for (int i = 0; i < kDatagramsInARow; i++) {
    Client client;
    std::size_t size = buffer.size();
    if (!receive(*this, buffer.data(), size, client)) return;
    Session* session = forward->session_of(*this, client);
    // A datagram that cannot be passed on is lost, as datagrams are.
    if (session) (void)send(session->fd.get(), buffer.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

void UdpForward::Session::ready(std::uint32_t) {
  for (int i = 0; i < kDatagramsInARow && !is_over; i++) {
    ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == ECONNREFUSED) continue;  // nobody listens in the container: the client will see no answer
    if (size < 0) return;
    forward->touch(*this);
    answer(*this, buffer.data(), static_cast<std::size_t>(size));
  }
}

void UdpForward::answer(const Session& session, const void* data, std::size_t size) {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  iovec vector{const_cast<void*>(data), size};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_storage*>(&session.client.address);
  message.msg_namelen = session.client.address_size;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  if (session.port->is_ipv6) {
    in6_pktinfo info{};
    info.ipi6_addr = session.client.local;
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(part), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, &session.client.local, sizeof info.ipi_spec_dst);
    part->cmsg_level = IPPROTO_IP;
    part->cmsg_type = IP_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(part), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  }
  (void)sendmsg(session.port->fd.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

UdpForward::Session* UdpForward::session_of(Port& port, const Client& client) {
  std::string key = client.key(port.fd.get());
  auto known = by_key_.find(key);
  if (known != by_key_.end()) {
    touch(*known->second);
    return known->second;
  }
  if (sessions_.size() >= limit_) {
    by_key_.erase(sessions_.front().key);
    sessions_.front().is_over = true;
    sessions_.front().fd.reset();
    over_.splice(over_.end(), sessions_, sessions_.begin());
  }
  sys::Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&port.target), sizeof port.target) != 0)
    return nullptr;
  Session& session = sessions_.emplace_back();
  session.forward = this;
  session.port = &port;
  session.fd = std::move(fd);
  session.client = client;
  session.key = key;
  session.used_at_ms = now_ms();
  if (!loop_.watch(session.fd.get(), EPOLLIN, session)) {
    sessions_.pop_back();
    return nullptr;
  }
  session.self = std::prev(sessions_.end());
  by_key_.emplace(std::move(key), &session);
  return &session;
}

void UdpForward::touch(Session& session) {
  session.used_at_ms = now_ms();
  sessions_.splice(sessions_.end(), sessions_, session.self);
}

int UdpForward::settle() {
  over_.clear();
  std::int64_t oldest = now_ms() - kSilentMs;
  while (!sessions_.empty() && sessions_.front().used_at_ms < oldest) {
    by_key_.erase(sessions_.front().key);
    sessions_.pop_front();
  }
  return sessions_.empty() ? -1 : kSweepMs;
}

}  // namespace net
