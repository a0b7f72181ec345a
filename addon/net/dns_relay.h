// Passes questions on to name servers, and their answers back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "net/dns_message.h"
#include "net/dns_servers.h"
#include "net/endpoint.h"
#include "net/event_loop.h"
#include "sys/fd.h"

namespace net {

class DnsRelay {
 public:
  // Called once, never from within ask(): with the answer, which has the id of the question; with nothing when no
  // server has given one.
  using Reply = std::function<void(std::string answer)>;
  enum class Transport : std::uint8_t { kUdp, kTcp };

  // At most `limit` questions at a time, each with kMaxServers sockets.
  DnsRelay(EventLoop& loop, DnsServers servers, std::size_t limit)
      : loop_(loop), servers_(std::move(servers)), limit_(limit) {}

  // The question goes to the servers over the transport that it came by, and `reply` follows within 5 s. False when
  // there are too many.
  bool ask(std::string_view message, const dns::Query& query, Transport transport, Reply reply);

  // No question is on its way.
  [[nodiscard]] bool is_idle() const { return questions_.empty(); }

  // After each turn of the loop: goes on to the next server where one is late, and frees what is over. Returns for how
  // long the loop may wait (-1: for ever).
  int settle();

 private:
  struct Question;
  // One server's part in a question: it keeps its socket to the end, for an answer that is late is an answer.
  struct Attempt final : EventTarget {
    DnsRelay* relay = nullptr;
    Question* question = nullptr;
    Endpoint server;
    sys::Fd fd;
    std::uint16_t id = 0;
    std::string out, in;      // over TCP: what is still to be sent, and what has come
    bool has_failed = false;  // there is nothing to be expected of it
    void ready(std::uint32_t events) override;
  };
  struct Question {
    std::string message;
    std::string question;  // name, type and class
    std::uint16_t id = 0;
    Transport transport = Transport::kUdp;
    Reply reply;
    std::vector<Endpoint> servers;
    std::list<Attempt> attempts;
    std::size_t sent = 0;      // how often it was sent, over all servers and rounds
    std::int64_t next_ms = 0;  // then the next server's turn comes
    std::int64_t last_ms = 0;  // then it is over
    std::string refusal;       // a server's, that will not or cannot answer: told if nobody does better
    bool is_over = false;
  };
  using Questions = std::list<Question>;

  void send_next(Question& question);
  bool send_to(Question& question, std::size_t place);
  bool begin(Attempt& attempt);
  void receive_datagrams(Attempt& attempt);
  void go_on_with_stream(Attempt& attempt, std::uint32_t events);
  bool send_stream(Attempt& attempt);
  bool receive_stream(Attempt& attempt);
  void take_answer(Attempt& attempt, std::string_view message);
  void give_up(Attempt& attempt);
  void finish(Question& question, std::string answer);
  std::uint16_t random_id();

  EventLoop& loop_;
  DnsServers servers_;
  std::size_t limit_;
  Questions questions_;
  std::vector<std::uint16_t> ids_;  // random, not used yet
};

}  // namespace net
