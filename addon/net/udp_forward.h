// Forwards datagrams of published UDP ports: one socket towards the container for each client, so that answers find
// their way back.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

#include "net/event_loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace net {

class UdpForward {
 public:
  // At most `sessions` clients at a time; a new one takes the place of the one that was silent for longest.
  UdpForward(EventLoop& loop, std::size_t sessions) : loop_(loop), limit_(sessions) {}

  sys::Result<void> add(sys::Fd socket, const sockaddr_in& target);

  // Forgets clients that were silent for 90 s. Returns for how long the loop may wait (-1: for ever).
  int settle();

 private:
  // What a client is known by: its address, and which of ours it wrote to.
  struct Client {
    sockaddr_storage address{};
    socklen_t address_size = 0;
    in6_addr local{};  // or, in its first 4 bytes, an in_addr
    [[nodiscard]] std::string key(int socket) const;
  };
  struct Port final : EventTarget {
    UdpForward* forward = nullptr;
    sys::Fd fd;
    sockaddr_in target{};
    bool is_ipv6 = false;
    void ready(std::uint32_t events) override;
  };
  struct Session;
  using Sessions = std::list<Session>;  // the least recently used first
  struct Session final : EventTarget {
    UdpForward* forward = nullptr;
    Port* port = nullptr;
    sys::Fd fd;  // connected to the container
    Client client;
    std::string key;
    std::int64_t used_at_ms = 0;
    bool is_over = false;
    Sessions::iterator self;
    void ready(std::uint32_t events) override;
  };

  Session* session_of(Port& port, const Client& client);
  void touch(Session& session);
  static void answer(const Session& session, const void* data, std::size_t size);
  static bool receive(const Port& port, void* data, std::size_t& size, Client& client);

  EventLoop& loop_;
  std::size_t limit_;
  std::list<Port> ports_;
  Sessions sessions_;
  Sessions over_;  // kept until the end of the turn: the loop may still deliver to them
  std::unordered_map<std::string, Session*> by_key_;
};

}  // namespace net
