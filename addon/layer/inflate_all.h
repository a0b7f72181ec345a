// A compressed file without its compression, for those who want neither layer nor digest: archives that are loaded.
#pragma once

#include "layer/plain_input.h"

namespace layer {

// All that `input` holds is written to `output`. Steps of errors: "read layer", "inflate", "limit", "write". Returns
// its size.
sys::Result<uint64_t> inflate_all(int input, int output, const Limits& limits);

}  // namespace layer
