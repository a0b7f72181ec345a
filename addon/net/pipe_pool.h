// Pipes for splice(2), lent to a connection only while bytes of it are on the way.
//
// A pipe is two descriptors. Were two of them tied to each connection, 20,000 descriptors (a usual hard limit) would
// carry 3,300 connections; lent like this they carry 4,000 and more, since most connections are idle most of the time.
#pragma once

#include <cstddef>
#include <vector>

#include "sys/fd.h"

namespace net {

struct Pipe {
  sys::Fd read_end;
  sys::Fd write_end;
  explicit operator bool() const { return static_cast<bool>(read_end); }
};

class PipePool {
 public:
  explicit PipePool(std::size_t limit) : limit_(limit) {}

  // An empty pipe, or none (then bytes are copied) when `limit` are lent out or the host refuses another.
  Pipe take();
  // Takes back a pipe. Only an empty one is lent again; what is left in another must never reach a stranger's
  // connection.
  void give(Pipe pipe, bool is_empty);

 private:
  std::size_t limit_;
  std::size_t lent_ = 0;
  std::vector<Pipe> free_;
};

}  // namespace net
