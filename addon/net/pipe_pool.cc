#include "net/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

namespace net {
namespace {

// Pages of pipes count against fs.pipe-user-pages-soft of the user, so few are kept in store.
constexpr std::size_t kKept = 64;

}  // namespace

Pipe PipePool::take() {
  Pipe pipe;
  if (!free_.empty()) {
    pipe = std::move(free_.back());
    free_.pop_back();
  } else if (lent_ < limit_) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
      pipe.read_end.reset(ends[0]);
      pipe.write_end.reset(ends[1]);
    }
  }
  if (pipe) lent_++;
  return pipe;
}

void PipePool::give(Pipe pipe, bool is_empty) {
  lent_--;
  if (is_empty && free_.size() < kKept) free_.push_back(std::move(pipe));
}

}  // namespace net
