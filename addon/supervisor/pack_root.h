// The folder that is packed, as the root of a mount that only this process has: what is mounted in a container (its
// volumes, /proc) is not on it, no device on it opens, nothing is written to it, and it goes with the process.
#pragma once

#include <string>
#include <vector>

#include "layer/stack.h"
#include "supervisor/config.h"
#include "supervisor/join_target.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

struct PackRoot {
  sys::Fd folder;
  sys::Fd lock;  // the container's: what reads its upper folder counts as its own doing
};

// The merged tree of the container in `bundle`. With a `socket`, its supervisor is asked: of a running one it is the
// very overlay that it runs on. Otherwise the layers are mounted once more, read-only, for which the caller holds the
// container's lock. The process, of one thread, may be in other namespaces afterwards.
sys::Result<PackRoot> open_container_root(const std::string& bundle, const std::string& socket);

// What a container is made of, apart: what it wrote, its upper folder on a mount like the above and the layers that
// were frozen of it, and the image's layers below.
struct ContainerLayers {
  int upper = -1;  // of `own`
  layer::Stack own;
  std::vector<std::string> frozen;  // where the layers below the upper folder lie, topmost first
  layer::Stack lower;
  sys::Fd lock;
  sys::Fd connection;  // of kWriting
  std::vector<sys::Fd> cgroup_folders;
  bool running = false;
};

// Of the container in `bundle`, running or not, as open_container_root() finds it. With kWriting one that does not run
// isn't started while the connection is open.
sys::Result<ContainerLayers> open_container_layers(const std::string& bundle, const std::string& socket,
                                                   Wanted wanted = Wanted::kFiles);

// Any folder. With `ids`, owners are seen through the user's id map. Other mounts below it are left out.
sys::Result<PackRoot> open_folder_root(const std::string& path, const std::optional<RootlessConfig>& ids);

}  // namespace supervisor
