#include "net/dns_service.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "net/dns_message.h"
#include "net/endpoint.h"

namespace net {
namespace {

constexpr std::size_t kMaxQuery = 4096;  // bytes: a question has 300 and some options
constexpr std::size_t kMaxUdpAnswer = 4096;
constexpr std::size_t kMaxClients = 64;
constexpr int kMaxPending = 16;                           // questions of one client
constexpr std::size_t kMaxUnread = 2 * dns::kMaxMessage;  // answers that one client does not read
constexpr std::int64_t kIdleMs = 10000;                   // RFC 7766, 6.2.3: seconds
constexpr int kSweepMs = 1000;
constexpr int kDatagramsInARow = 64;
constexpr std::size_t kLengthSize = 2;
constexpr std::uint16_t kIncrementalTransfer = 251, kTransfer = 252;  // of zones (RFC 5936): many messages long

// One thread, and never kept over a call.
std::array<char, kMaxQuery + 1> buffer;

}  // namespace

sys::Result<void> DnsService::serve(sys::Fd udp, sys::Fd tcp) {
  datagrams_.service = this;
  datagrams_.fd = std::move(udp);
  acceptor_.service = this;
  acceptor_.fd = std::move(tcp);
  SYS_TRY(loop_.watch(datagrams_.fd.get(), EPOLLIN, datagrams_));
  return loop_.watch(acceptor_.fd.get(), EPOLLIN, acceptor_);
}

void DnsService::finish() {
  is_finishing_ = true;
  loop_.change(datagrams_.fd.get(), 0, datagrams_);
  pause_accepting(true);
}

bool DnsService::handle(std::string_view message, DnsRelay::Transport transport, const Reply& reply) {
  const dns::Parsed parsed = dns::parse_query(message);
  if (parsed.verdict == dns::Verdict::kDrop) return false;
  if (parsed.verdict == dns::Verdict::kRefuse) {
    reply(dns::error_answer(message, parsed.rcode));
    return true;
  }
  const dns::Query& query = parsed.query;
  const std::size_t limit =
      transport == DnsRelay::Transport::kUdp ? std::min(query.udp_size, kMaxUdpAnswer) : dns::kMaxMessage;
  const std::string failure = dns::Answer(query, dns::Rcode::kServerFailure).finish(limit);
  if (query.type == kTransfer || query.type == kIncrementalTransfer) {
    reply(dns::Answer(query, dns::Rcode::kRefused).finish(limit));
  } else if (const auto own = zone_.answer(query, limit)) {
    reply(*own);
  } else if (!relay_) {
    reply(dns::Answer(query, dns::Rcode::kNoName).finish(limit));
  } else {
    const std::string truncated = dns::Answer(query).finish(0);
    const auto relayed = [reply, failure, truncated, limit](const std::string& answer) {
      reply(answer.empty() ? failure : answer.size() > limit ? truncated : answer);
    };
    if (!relay_->ask(message, query, transport, relayed)) reply(failure);
  }
  return true;
}

void DnsService::Datagrams::ready(std::uint32_t) {
  if (service->is_finishing_) return;
  for (int i = 0; i < kDatagramsInARow; i++) {
    Endpoint client;
    client.size = sizeof client.storage;
    const ssize_t size = recvfrom(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                  reinterpret_cast<sockaddr*>(&client.storage), &client.size);
    if (size < 0) return;
    if (static_cast<std::size_t>(size) > kMaxQuery) continue;
    const auto reply = [this, client](std::string_view answer) {
      // What the client has no room for is lost, as datagrams are.
      (void)sendto(fd.get(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL, client.get(), client.size);
    };
    (void)service->handle({buffer.data(), static_cast<std::size_t>(size)}, DnsRelay::Transport::kUdp, reply);
  }
}

void DnsService::Acceptor::ready(std::uint32_t) {
  if (!service->is_finishing_) service->accept_some();
}

void DnsService::accept_some() {
  while (clients_.size() < kMaxClients) {
    sys::Fd fd(accept4(acceptor_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    // For want of descriptors: the connection stays in the backlog, until settle() has freed some.
    if (!fd && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) return pause_accepting(true);
    if (!fd) return;
    const std::uint64_t number = next_number_++;
    Client& client = clients_[number];
    client.service = this;
    client.number = number;
    client.fd = std::move(fd);
    client.used_at_ms = now_ms();
    if (!loop_.watch(client.fd.get(), EPOLLIN, client)) clients_.erase(number);
  }
  pause_accepting(true);
}

void DnsService::pause_accepting(bool paused) {
  if (paused == is_paused_) return;
  is_paused_ = paused;
  loop_.change(acceptor_.fd.get(), paused ? 0U : EPOLLIN, acceptor_);
}

void DnsService::Client::ready(std::uint32_t events) {
  if (is_over) return;
  used_at_ms = now_ms();
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) is_over = true;
  if ((events & EPOLLOUT) != 0) write_some();
  if ((events & EPOLLIN) != 0) read_some();
}

void DnsService::Client::read_some() {
  const ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && errno != EAGAIN && errno != EINTR) is_over = true;
  if (size == 0) at_end = true;
  if (size > 0) in.append(buffer.data(), static_cast<std::size_t>(size));
}

void DnsService::Client::write_some() {
  const ssize_t size = send(fd.get(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size < 0 && errno != EAGAIN && errno != EINTR) is_over = true;
  if (size > 0) out.erase(0, static_cast<std::size_t>(size));
}

// The size of the question at the beginning of `in`; nothing when there is no whole one.
std::optional<std::size_t> DnsService::Client::whole_question() {
  if (in.size() < kLengthSize) return std::nullopt;
  const std::size_t length = static_cast<std::uint8_t>(in[0]) << 8 | static_cast<std::uint8_t>(in[1]);
  // None that we would answer, and what follows it cannot be found without taking in all of it.
  if (length > kMaxQuery) is_over = true;
  if (length > kMaxQuery || in.size() < kLengthSize + length) return std::nullopt;
  return length;
}

bool DnsService::Client::is_ready() {
  const bool has_room = pending < kMaxPending && out.size() < kMaxUnread && !service->is_finishing_;
  return !is_over && has_room && whole_question().has_value();
}

void DnsService::Client::take_questions() {
  while (is_ready()) {
    const std::size_t length = *whole_question();
    const std::string message = in.substr(kLengthSize, length);
    in.erase(0, kLengthSize + length);
    pending++;
    const auto reply = [target = service, client = number](std::string_view answer) {
      target->answer_client(client, answer);
    };
    if (!service->handle(message, DnsRelay::Transport::kTcp, reply)) is_over = true;
  }
}

void DnsService::answer_client(std::uint64_t number, std::string_view answer) {
  const auto found = clients_.find(number);
  if (found == clients_.end() || found->second.is_over) return;
  Client& client = found->second;
  client.pending--;
  client.out += static_cast<char>(answer.size() >> 8);
  client.out += static_cast<char>(answer.size() & 0xff);
  client.out += answer;
  client.write_some();
}

// What is left to do for a client after a turn: its next questions, and what to be woken for.
void DnsService::Client::go_on(EventLoop& loop, std::int64_t now) {
  take_questions();
  const bool has_nothing_left = pending == 0 && out.empty() && !is_ready();
  if (pending == 0 && now - used_at_ms > kIdleMs) is_over = true;
  if ((at_end || service->is_finishing_) && has_nothing_left) is_over = true;
  if (is_over) return;
  std::uint32_t events = out.empty() ? 0U : EPOLLOUT;
  // Who has asked enough, or does not read, is not read from either.
  const bool may_ask = !at_end && !service->is_finishing_;
  if (may_ask && pending < kMaxPending && out.size() < kMaxUnread) events |= EPOLLIN;
  if (events != std::exchange(watched, events)) loop.change(fd.get(), events, *this);
}

int DnsService::settle() {
  const std::int64_t now = now_ms();
  for (auto& [number, client] : clients_) client.go_on(loop_, now);
  std::erase_if(clients_, [](const auto& client) { return client.second.is_over; });
  if (clients_.size() < kMaxClients && !is_finishing_) pause_accepting(false);
  const int wait = relay_ ? relay_->settle() : -1;
  if (clients_.empty()) return wait;
  // An answer has made room for a question that has come already.
  const bool is_ready = std::any_of(clients_.begin(), clients_.end(), [](auto& one) { return one.second.is_ready(); });
  return is_ready ? 0 : wait < 0 ? kSweepMs : std::min(wait, kSweepMs);
}

}  // namespace net
