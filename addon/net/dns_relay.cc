#include "net/dns_relay.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace net {
namespace {

// The C libraries give up after 5 s: by then they are told that nobody answers.
constexpr std::int64_t kTotalMs = 4500;
constexpr std::int64_t kFirstWaitMs = 1000;  // before the next server is asked, or the only one again
constexpr std::int64_t kFirstRoundMs = 2400;
constexpr std::size_t kUdpRounds = 2;  // a datagram may be lost, a stream retries by itself
constexpr int kDatagramsInARow = 16;
constexpr std::size_t kLengthSize = 2;  // in front of a message over TCP (RFC 1035, 4.2.2)
constexpr std::size_t kIdsAtATime = 64;

// One thread, and never kept over a call.
std::array<char, dns::kMaxMessage> buffer;

bool is_refusal(dns::Rcode rcode) {
  return rcode == dns::Rcode::kServerFailure || rcode == dns::Rcode::kNotImplemented || rcode == dns::Rcode::kRefused;
}

}  // namespace

bool DnsRelay::ask(std::string_view message, const dns::Query& query, Transport transport, Reply reply) {
  if (questions_.size() >= limit_) return false;
  Question& question = questions_.emplace_back();
  question.message = message;
  question.question = query.question;
  question.id = query.id;
  question.transport = transport;
  question.reply = std::move(reply);
  question.servers = servers_.list();
  question.next_ms = now_ms();  // by settle(): the caller shall have returned
  question.last_ms = question.next_ms + kTotalMs;
  return true;
}

int DnsRelay::settle() {
  const std::int64_t now = now_ms();
  std::int64_t next = now + kTotalMs;
  for (Question& question : questions_) {
    while (!question.is_over && question.next_ms <= now) send_next(question);
  }
  std::erase_if(questions_, [](const Question& question) { return question.is_over; });
  if (questions_.empty()) return -1;
  for (const Question& question : questions_) next = std::min(next, question.next_ms);
  return static_cast<int>(std::max<std::int64_t>(next - now, 0));
}

// The next server that may still answer is asked; after the last round the question waits for those that were.
void DnsRelay::send_next(Question& question) {
  const std::size_t servers = question.servers.size();
  const std::size_t rounds = question.transport == Transport::kUdp ? kUdpRounds : 1;
  while (question.sent < servers * rounds) {
    const std::size_t place = question.sent++ % servers;
    if (!send_to(question, place)) continue;
    const auto count = static_cast<std::int64_t>(servers);
    const std::int64_t first_wait = rounds == 1 ? kTotalMs / count : std::min(kFirstWaitMs, kFirstRoundMs / count);
    const std::int64_t wait = question.sent <= servers ? first_wait : kTotalMs / count - first_wait;
    question.next_ms = now_ms() + wait;
    return;
  }
  const bool may_come = std::any_of(question.attempts.begin(), question.attempts.end(),
                                    [](const Attempt& attempt) { return !attempt.has_failed; });
  if (may_come && now_ms() < question.last_ms) {
    question.next_ms = question.last_ms;
  } else {
    finish(question, std::move(question.refusal));
  }
}

bool DnsRelay::send_to(Question& question, std::size_t place) {
  const Endpoint& server = question.servers[place];
  const auto known = std::find_if(question.attempts.begin(), question.attempts.end(),
                                  [&](const Attempt& attempt) { return attempt.server == server; });
  if (known != question.attempts.end()) {
    if (known->has_failed) return false;
    (void)send(known->fd.get(), known->out.data(), known->out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return true;
  }
  Attempt& attempt = question.attempts.emplace_back();
  attempt.relay = this;
  attempt.question = &question;
  attempt.server = server;
  attempt.has_failed = !begin(attempt);
  return !attempt.has_failed;
}

// A socket, and with it a port, for each question: together with the id it makes answers hard to forge (RFC 5452). It
// is connected, so that the kernel passes on none but the server's.
bool DnsRelay::begin(Attempt& attempt) {
  const Question& question = *attempt.question;
  const bool is_udp = question.transport == Transport::kUdp;
  attempt.id = random_id();
  attempt.out = question.message;
  dns::set_id(attempt.out, attempt.id);
  const int type = (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  attempt.fd.reset(socket(attempt.server.family(), type, 0));
  if (!attempt.fd) return false;
  if (connect(attempt.fd.get(), attempt.server.get(), attempt.server.size) != 0 && errno != EINPROGRESS) return false;
  if (!loop_.watch(attempt.fd.get(), is_udp ? EPOLLIN : EPOLLOUT, attempt)) return false;
  if (is_udp) {
    return send(attempt.fd.get(), attempt.out.data(), attempt.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  }
  const std::size_t size = attempt.out.size();
  attempt.out.insert(0, {static_cast<char>(size >> 8), static_cast<char>(size & 0xff)});
  return true;
}

void DnsRelay::Attempt::ready(std::uint32_t events) {
  if (question->is_over || has_failed) return;
  if (question->transport == Transport::kUdp) {
    relay->receive_datagrams(*this);
  } else {
    relay->go_on_with_stream(*this, events);
  }
}

void DnsRelay::receive_datagrams(Attempt& attempt) {
  for (int i = 0; i < kDatagramsInARow && !attempt.has_failed && !attempt.question->is_over; i++) {
    const ssize_t size = recv(attempt.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    // ECONNREFUSED and the like: the server's host says that nobody is there.
    if (size < 0) return give_up(attempt);
    take_answer(attempt, {buffer.data(), static_cast<std::size_t>(size)});
  }
}

void DnsRelay::go_on_with_stream(Attempt& attempt, std::uint32_t events) {
  const bool ok =
      attempt.out.empty() ? receive_stream(attempt) : (events & (EPOLLERR | EPOLLHUP)) == 0 && send_stream(attempt);
  if (!ok) give_up(attempt);
}

bool DnsRelay::send_stream(Attempt& attempt) {
  const ssize_t size = send(attempt.fd.get(), attempt.out.data(), attempt.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  attempt.out.erase(0, static_cast<std::size_t>(size));
  if (attempt.out.empty()) loop_.change(attempt.fd.get(), EPOLLIN, attempt);
  return true;
}

bool DnsRelay::receive_stream(Attempt& attempt) {
  const ssize_t size = recv(attempt.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  attempt.in.append(buffer.data(), static_cast<std::size_t>(size));
  const std::string_view in = attempt.in;
  if (in.size() >= kLengthSize) {
    const std::size_t length = static_cast<std::uint8_t>(in[0]) << 8 | static_cast<std::uint8_t>(in[1]);
    if (in.size() >= kLengthSize + length) {
      take_answer(attempt, in.substr(kLengthSize, length));
      // One that is none to our question came on a connection that had no other: it is of no use.
      return attempt.question->is_over || attempt.has_failed;
    }
  }
  return size > 0;
}

void DnsRelay::take_answer(Attempt& attempt, std::string_view message) {
  Question& question = *attempt.question;
  if (!dns::answers(message, attempt.id, question.question)) return;
  std::string answer(message);
  dns::set_id(answer, question.id);
  if (is_refusal(dns::rcode_of(message))) {
    question.refusal = std::move(answer);
    return give_up(attempt);
  }
  if (question.attempts.front().server != attempt.server) servers_.prefer(attempt.server);
  finish(question, std::move(answer));
}

// Nothing is to be expected of it. If it was the last one asked, the next has its turn.
void DnsRelay::give_up(Attempt& attempt) {
  Question& question = *attempt.question;
  attempt.has_failed = true;
  attempt.fd.reset();
  if (&attempt == &question.attempts.back()) question.next_ms = 0;
}

// It stays where it is to the end of the turn: the loop may have more events for its sockets.
void DnsRelay::finish(Question& question, std::string answer) {
  question.is_over = true;
  question.reply(std::move(answer));
}

std::uint16_t DnsRelay::random_id() {
  if (ids_.empty()) {
    ids_.resize(kIdsAtATime);
    (void)getrandom(ids_.data(), kIdsAtATime * sizeof ids_[0], 0);  // cannot fail: less than 256 bytes (getrandom(2))
  }
  const std::uint16_t id = ids_.back();
  ids_.pop_back();
  return id;
}

}  // namespace net
