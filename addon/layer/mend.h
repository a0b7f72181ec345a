// The fix layer of a chain. Layers are unpacked apart from each other, so that three things can only be made right when
// it is known what lies below one: folders that had no entry of their own, whiteouts in folders that no lower layer
// has, and hardlinks to files of lower layers. A committed layer is never changed: what it lacks goes into a layer of
// its own, directly above it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layer/hardlinks.h"
#include "sys/result.h"

namespace layer {

struct MendRequest {
  std::vector<std::string>
      layers;           // folders: of the layer in question, then of those below it, topmost first; in overlay form
  std::string out_dir;  // an existing empty folder on their file system
  // As unpack() told them: relative, clean, free of links.
  std::vector<std::string> implicit;
  std::vector<std::string> whiteouts;
  std::vector<LowerLink> lower_links;
};

// With `out_dir` above it the layer is what unpacking it over the lower ones would have made; durable. Returns how much
// was made: with 0 the chain needs no fix layer. Steps of errors: "mend folder", "mend link"; `path` is the name within
// the layer.
sys::Result<uint64_t> mend(const MendRequest& request);

}  // namespace layer
