// Anonymous volumes, which several containers may have (volumesFrom): each is a file in the volume's folder `users`.
// Whoever removes that folder, which works once it is empty, removes the volume. So the kernel decides whether one that
// leaves or one that comes was first, also between processes that were killed; no lock is held.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sys/json.h"
#include "sys/result.h"

namespace supervisor {

struct AnonymousVolumes {
  std::vector<std::string> folders;  // of the volumes, each with `users` and the data
  bool keep = false;                 // they outlive the container
};

// The member `anonymousVolumes` of an object: {folders, keep?}; without it, none.
AnonymousVolumes parse_anonymous_volumes(sys::JsonReader& reader, const sys::Json* parent);

// The container has them no more; those that nobody else has are gone, unless they are kept. Goes through all of them
// and returns the first failure, else how many bytes the file system got back, if `measure` asks for it.
sys::Result<uint64_t> leave_volumes(const AnonymousVolumes& volumes, const std::string& container,
                                    bool measure = false);

}  // namespace supervisor
