// A helper process that is there for as long as its owner wants it: one that dies is followed by another.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

#include "net/helper.h"
#include "supervisor/loop.h"
#include "sys/result.h"

namespace supervisor {

class LastingHelper {
 public:
  using Start = std::function<sys::Result<net::Helper>()>;

  explicit LastingHelper(Loop& loop) : loop_(loop) {}
  ~LastingHelper() { end(); }
  LastingHelper(const LastingHelper&) = delete;
  LastingHelper& operator=(const LastingHelper&) = delete;

  // What `start` makes runs, and `start` is kept for its successors. Who ran before is told to end, after the new one
  // has begun, and not waited for: it may have something to finish.
  sys::Result<void> run(Start start);
  // It has ended, for good. Idempotent.
  void end();

  [[nodiscard]] bool is_child(pid_t pid) const { return helper_.pid > 0 && pid == helper_.pid; }

 private:
  sys::Result<void> start();
  void on_news();
  void start_again();
  void end_present();

  Loop& loop_;
  Start start_;
  net::Helper helper_;
  int64_t started_ms_ = 0;
  Loop::Timer again_ = 0;
};

}  // namespace supervisor
