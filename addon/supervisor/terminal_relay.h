// Copies between a pseudo-terminal's master and a client that has one end of a pipe and a control connection.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "supervisor/loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class TerminalRelay {
 public:
  // What comes on `in`, if it is a pipe, is input: no more is read than the terminal takes. `in` and `out` are
  // borrowed. `on_input_room` runs when input_full() has become false.
  TerminalRelay(Loop& loop, int in, int out, std::function<void()> on_input_room)
      : loop_(loop), in_(in), out_(out), on_input_room_(std::move(on_input_room)) {}
  ~TerminalRelay() { close(); }
  TerminalRelay(const TerminalRelay&) = delete;
  TerminalRelay& operator=(const TerminalRelay&) = delete;

  sys::Result<void> start(sys::Fd master);
  void write_input(std::string_view data);
  [[nodiscard]] bool input_full() const;
  sys::Result<void> resize(uint16_t columns, uint16_t rows);

  // What the terminal still holds reaches the client, however slowly it reads; then `done` runs, once.
  void finish(std::function<void()> done);
  void close();

 private:
  void on_master(uint32_t events);
  bool read_master();
  void watch_in();
  void forget_in();
  void on_in();
  void flush_output();
  void flush_input();
  void watch_as_needed();
  void output_done();

  Loop& loop_;
  int in_;
  int out_;
  std::function<void()> on_input_room_;
  sys::Fd master_;
  std::string input_;
  std::string output_;
  bool watching_in_ = false;
  bool in_ended_ = false;
  bool watching_out_ = false;
  bool finishing_ = false;
  std::function<void()> done_;
};

}  // namespace supervisor
