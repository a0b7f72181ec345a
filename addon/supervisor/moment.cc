#include "supervisor/moment.h"

#include <time.h>

#include "layer/replica.h"
#include "supervisor/mapped_files.h"

namespace supervisor {
namespace {

// So little was left to copy in a pass that the container may stand still for the next.
constexpr uint64_t kFewBytes = uint64_t{4} << 20U;
constexpr uint64_t kFewFiles = 200;
// One that changes faster than it is copied never gets there.
constexpr int kPasses = 5;

int64_t now_us() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

sys::Result<Moment> copy_moment(const ContainerLayers& layers, int proc, int copy) {
  layer::Replica replica(layers.upper, copy);
  for (int passes = 0; passes < kPasses; passes++) {
    auto pass = replica.pass();
    if (!pass) return pass.take_failure();
    if (pass->bytes <= kFewBytes && pass->made <= kFewFiles) break;
  }
  Moment moment;
  const int64_t since = now_us();
  auto running = suspend_container(layers.connection.get());
  if (!running) return running.take_failure();
  moment.ran = *running;
  const layer::Doubts doubts = doubtful_files(layers.cgroup_folders, proc, layers.upper);
  auto last = replica.last_pass(doubts);
  if (!last) return last.take_failure();
  SYS_TRY(resume_container(layers.connection.get()));
  if (moment.ran) moment.still_us = now_us() - since;
  moment.files = last->made;
  return moment;
}

}  // namespace supervisor
