// The resolver's side towards the programs of one container.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "net/dns_relay.h"
#include "net/dns_zone.h"
#include "net/event_loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

class DnsService {
 public:
  // `relay` is empty where nothing is passed on: then there is no name but those of the zone.
  DnsService(EventLoop& loop, DnsZone zone, std::optional<DnsRelay> relay)
      : loop_(loop), zone_(std::move(zone)), relay_(std::move(relay)) {}

  // Questions that come by these sockets are answered; both are non-blocking, `tcp` listens.
  sys::Result<void> serve(sys::Fd udp, sys::Fd tcp);

  // No more questions are taken; those that were are still answered. Another process may have the sockets now.
  void finish();
  // After finish(): there is nothing left to do.
  [[nodiscard]] bool is_idle() const { return clients_.empty() && (!relay_ || relay_->is_idle()); }

  // After each turn of the loop. Returns for how long the loop may wait (-1: for ever).
  int settle();

 private:
  using Reply = std::function<void(std::string_view answer)>;
  // `reply` is called once, now or later; false when it is not, for what is no question has no answer.
  bool handle(std::string_view message, DnsRelay::Transport transport, const Reply& reply);

  struct Datagrams final : EventTarget {
    DnsService* service = nullptr;
    sys::Fd fd;
    void ready(std::uint32_t events) override;
  };
  struct Acceptor final : EventTarget {
    DnsService* service = nullptr;
    sys::Fd fd;
    void ready(std::uint32_t events) override;
  };
  // A connection, on which questions may follow each other without waiting for answers (RFC 7766).
  struct Client final : EventTarget {
    DnsService* service = nullptr;
    std::uint64_t number = 0;
    sys::Fd fd;
    std::string in, out;
    std::uint32_t watched = EPOLLIN;
    int pending = 0;  // questions that have no answer yet
    bool at_end = false;
    bool is_over = false;
    std::int64_t used_at_ms = 0;
    void ready(std::uint32_t events) override;
    void read_some();
    void write_some();
    std::optional<std::size_t> whole_question();
    bool is_ready();
    void take_questions();
    void go_on(EventLoop& loop, std::int64_t now);
  };
  void accept_some();
  void answer_client(std::uint64_t number, std::string_view answer);
  void pause_accepting(bool paused);

  EventLoop& loop_;
  DnsZone zone_;
  std::optional<DnsRelay> relay_;
  Datagrams datagrams_;
  Acceptor acceptor_;
  bool is_paused_ = false;
  bool is_finishing_ = false;
  std::map<std::uint64_t, Client> clients_;
  std::uint64_t next_number_ = 0;
};

}  // namespace net
