// Asking another container's supervisor for its network namespace.
#pragma once

#include <functional>
#include <string>

#include "supervisor/frames.h"
#include "supervisor/loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

// What a supervisor lends: its own descriptor, so that it is that container's network, whatever process ids are reused.
struct Loan {
  sys::Fd network;
  std::string address;  // where the container is reached; may be empty
};

// One question at a time, and never waited for: two supervisors may ask each other.
class NetworkLoan {
 public:
  using Done = std::function<void(sys::Result<Loan> loan)>;

  explicit NetworkLoan(Loop& loop) : loop_(loop) {}
  ~NetworkLoan() { cancel(); }
  NetworkLoan(const NetworkLoan&) = delete;
  NetworkLoan& operator=(const NetworkLoan&) = delete;

  // The supervisor that listens on `socket` is asked; `done` gets its answer, later, unless this fails. ESRCH, now or
  // then: that container does not run.
  sys::Result<void> ask(const std::string& socket, Done done);
  // Nobody is answered any more. Idempotent.
  void cancel();

 private:
  void on_event();
  void finish(sys::Result<Loan> loan);

  Loop& loop_;
  sys::Fd socket_;
  FrameReader reader_;
  sys::Fd network_;
  Loop::Timer patience_ = 0;
  Done done_;
};

}  // namespace supervisor
