// The files that a container wrote, as they are at one moment, without its standing still for longer than that takes.
#pragma once

#include <vector>

#include "supervisor/pack_root.h"
#include "sys/result.h"

namespace supervisor {

struct Moment {
  bool ran = false;      // else it didn't run, and was not started meanwhile
  int64_t still_us = 0;  // how long its processes stood still
  uint64_t files = 0;    // that were copied while they did
};

// A folder that the container writes to, as open_folder_root() opens it, and an empty one for what it holds.
struct Copying {
  int from = -1;
  int to = -1;
};

// The copies hold what these folders held at one moment while this ran, the same for all. Most of it is copied while
// the container goes on. Afterwards, or when this process ends, it goes on and may be started. `proc` is /proc.
// ENOTSUP or ENOSYS: it can't be made to stand still.
sys::Result<Moment> copy_moment(const ContainerLayers& layers, const std::vector<Copying>& folders, int proc);

}  // namespace supervisor
