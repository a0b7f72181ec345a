// What a container changed: its own layers told against the image's below them, as `docker diff` tells it.
#pragma once

#include <cstddef>
#include <string>

#include "layer/stack.h"
#include "sys/result.h"

namespace layer {

// Where changes go, one after the other.
class ChangeSink {
 public:
  virtual ~ChangeSink() = default;
  // `kind` is 'A' for added, 'C' for modified, 'D' for deleted; `path` is absolute, the bytes as they are.
  virtual sys::Result<void> put(char kind, const std::string& path) = 0;
};

// `sink` has the changes sorted by path, a folder before what is in it. A folder that holds a change is itself told as
// modified; of one that was deleted, only itself is told. What every start makes as places for its own mounts (/proc,
// /dev, /etc/hosts and their like) counts as there from the beginning. The topmost of `own` may be a running
// container's upper folder, and hostile: nothing is looked up but by one name in one open folder, and no link is
// followed; its mount should be nodev. More than `depth` folders in each other are an error.
// Steps of errors: "read tree", whose path is the entry's; "limit"; what the sink gives.
sys::Result<void> diff(const Stack& own, const Stack& lower, ChangeSink& sink, size_t depth = 1024);

}  // namespace layer
