#include "supervisor/moment.h"

#include <time.h>

#include <deque>

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

sys::Result<Moment> copy_moment(const ContainerLayers& layers, const std::vector<Copying>& folders, int proc) {
  std::deque<layer::Replica> replicas;
  for (const Copying& folder : folders) replicas.emplace_back(folder.from, folder.to);
  for (int passes = 0; passes < kPasses; passes++) {
    uint64_t bytes = 0;
    uint64_t made = 0;
    for (layer::Replica& replica : replicas) {
      auto pass = replica.pass();
      if (!pass) return pass.take_failure();
      bytes += pass->bytes;
      made += pass->made;
    }
    if (bytes <= kFewBytes && made <= kFewFiles) break;
  }
  Moment moment;
  const int64_t since = now_us();
  auto running = suspend_container(layers.connection.get());
  if (!running) return running.take_failure();
  moment.ran = *running;
  for (size_t i = 0; i < folders.size(); i++) {
    auto last = replicas[i].last_pass(doubtful_files(layers.cgroup_folders, proc, folders[i].from));
    if (!last) return last.take_failure();
    moment.files += last->made;
  }
  SYS_TRY(resume_container(layers.connection.get()));
  if (moment.ran) moment.still_us = now_us() - since;
  return moment;
}

}  // namespace supervisor
