// A container's published ports: reserved once, and led to the address where it is reached now.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "net/network.h"
#include "supervisor/loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class PublishedPorts {
 public:
  explicit PublishedPorts(Loop& loop) : loop_(loop) {}
  ~PublishedPorts() { close(); }
  PublishedPorts(const PublishedPorts&) = delete;
  PublishedPorts& operator=(const PublishedPorts&) = delete;

  // All of them are bound. Nothing to do the second time.
  sys::Result<void> reserve(const std::vector<net::Port>& wanted);
  // Clients reach the container `id` at its address on this network. `has_rules`: the kernel's part of it is among the
  // rules that its link came with. Nothing to do where they lead there already. After a failure they lead nowhere.
  sys::Result<void> lead_to(const net::Config& link, const std::string& id, bool has_rules);
  // Clients are refused at once; the numbers stay known, and are taken again by lead_to() if they are free then.
  void lead_nowhere();
  // Nothing of them is left. Idempotent.
  void close();

  // As they are reserved.
  [[nodiscard]] std::vector<net::Port> reserved() const;
  // The same, while they lead to the container.
  [[nodiscard]] std::vector<net::Port> open() const;
  [[nodiscard]] bool is_child(pid_t pid) const { return pid == forwarder_.pid; }

 private:
  sys::Result<void> listen_again(bool same_numbers);
  sys::Result<void> start_forwarder(const std::string& address);
  void end_forwarder();

  Loop& loop_;
  std::vector<net::Port> wanted_;
  std::vector<net::Listener> listeners_;
  std::string target_;  // an address; empty: they lead nowhere
  sys::Fd rules_;       // where they are not among the link's own
  net::Helper forwarder_;
};

}  // namespace supervisor
