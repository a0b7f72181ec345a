// The files that a container wrote, as they are at one moment, without its standing still for longer than that takes.
#pragma once

#include "supervisor/pack_root.h"
#include "sys/result.h"

namespace supervisor {

struct Moment {
  bool ran = false;      // else it didn't run, and was not started meanwhile
  int64_t still_us = 0;  // how long its processes stood still
  uint64_t files = 0;    // that were copied while they did
};

// The empty folder `copy` holds what the container's upper folder held at one moment while this ran. Most of it is
// copied while the container goes on. Afterwards, or when this process ends, it goes on and may be started. `proc` is
// /proc. ENOTSUP or ENOSYS: it can't be made to stand still.
sys::Result<Moment> copy_moment(const ContainerLayers& layers, int proc, int copy);

}  // namespace supervisor
