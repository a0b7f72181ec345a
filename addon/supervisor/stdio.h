// The container's stdin, stdout and stderr, or its terminal: output goes to the log, input comes from attached clients.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jail/jail.h"
#include "supervisor/log_writer.h"
#include "supervisor/loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class Stdio {
 public:
  // `on_output` runs after the log has grown, `on_input_room` when input_full() has become false. The loop and the log
  // outlive this.
  Stdio(Loop& loop, LogWriter& log, std::function<void()> on_output, std::function<void()> on_input_room);
  ~Stdio() { close(); }
  Stdio(const Stdio&) = delete;
  Stdio& operator=(const Stdio&) = delete;

  // New pipes for a process that is about to be made, and its ends of them; nothing under a terminal, whose master
  // comes later.
  sys::Result<jail::Stdio> open(bool terminal, bool open_stdin);
  // The process has its ends: only it, and what it starts, may keep them open.
  void started(sys::Fd master);
  // All that the process has written is in the log, and every end is closed. Does not wait for others that hold the
  // pipes open.
  void drain();

  // Every end is closed, unread output is lost: of a start that failed.
  void discard() { close(); }

  // Bytes for its stdin. Before the start they are kept; without an open stdin they are dropped.
  void write_input(std::string_view data);
  // After what was written so far, its stdin ends.
  void end_input();
  // Too much is waiting: whoever sends input must be stopped.
  [[nodiscard]] bool input_full() const;

  // Nothing while there is no terminal.
  sys::Result<void> resize(uint16_t columns, uint16_t rows);

 private:
  struct Source {
    sys::Fd fd;
    Stream stream;
  };

  sys::Result<int> open_output(Stream stream);
  void add_source(Stream stream, sys::Fd fd);
  char* buffer();
  bool read_source(Source& source);
  void close_source(Source& source);
  void flush_input();
  void close_input();
  void close();

  Loop& loop_;
  LogWriter& log_;
  std::function<void()> on_output_;
  std::function<void()> on_input_room_;
  // Not a string, whose zeroes would be written to pages that no output may ever need.
  std::unique_ptr<char[]> buffer_;
  std::vector<Source> sources_;
  std::vector<sys::Fd> child_ends_;
  sys::Fd input_;      // a pipe; under a terminal its master is among the sources
  int terminal_ = -1;  // the master's number
  bool open_stdin_ = false;
  bool had_process_ = false;  // open() was called: what is pending is an earlier process's
  std::string pending_input_;
  bool input_ended_ = false;
  bool input_watched_ = false;
};

}  // namespace supervisor
