// The files that a stopped container wrote, as layers that nobody changes any more, so that others can stand on them.
//
// A folder that is written in, the root's upper one or a volume's, gets another name and becomes the topmost layer
// below a new, empty folder in its place. config.json says so first: from that moment on it is decided, and what a kill
// leaves undone is done before the next start. However much was written, it is two renames.
#pragma once

#include <string>
#include <vector>

#include "supervisor/config.h"
#include "sys/json.h"
#include "sys/result.h"

namespace supervisor {

struct FreezeRequest {
  struct Folder {
    Freezing freezing;
    std::string work;  // of a volume: the overlay's work folder, made if it is not there
  };
  std::vector<Folder> folders;
};

// `{folders: [{from, to, work?}]}`.
sys::Result<FreezeRequest> parse_freeze(const sys::Json& request);

// Each folder in which anything is new is a layer, in config.json and in `config`; returns those. After a failure
// either nothing has changed, or it was decided and is done by the next finish_freezing().
sys::Result<std::vector<Freezing>> freeze(Config& config, const FreezeRequest& request);

// What `config` has decided is done on disk. May be called any number of times.
sys::Result<void> finish_freezing(Config& config);

}  // namespace supervisor
