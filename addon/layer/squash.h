// Several layers made one: overlayfs mounts a few hundred at most (OVL_MAX_STACK).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sys/result.h"

namespace layer {

struct SquashRequest {
  std::vector<std::string> layers;  // folders in overlay form, topmost first: all there are, down to the bottom
  std::string out_dir;              // an existing empty folder on a disk that nobody else writes in
};

// `out_dir` holds what an overlay of the layers would show, durable: copies, for a file with one more name would look
// different in its own layer. Nothing lies below, so that it has neither whiteouts nor marks. Names that are one file
// in a layer are one file again. Returns how much was made. Errors have the step "squash" and the path within.
// Sets the process's umask to 0.
sys::Result<uint64_t> squash(const SquashRequest& request);

}  // namespace layer
