// A container's files as its processes see them, for somebody who copies: with its volumes and bind mounts, whether it
// runs or not; without the kernel's own file systems when it doesn't.
#pragma once

#include <string>

#include "supervisor/config.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

enum class Access { kRead, kWrite };

struct FileRoot {
  sys::Fd root;        // "/" of this process, too: the host's tree is gone from it
  sys::Fd lock;        // the container's: what is done in its upper folder counts as its own doing
  sys::Fd connection;  // with kWrite, it is not started while this is open
};

// Of the container in `bundle`, whose supervisor listens on `socket`. The mounts are copies that belong to this process
// alone, in which no device opens and nothing is executed; with kRead nothing can be written. What the container may
// not write (a read-only root, a read-only volume) can't be written here either: EROFS. Of one that doesn't run, kRead
// has those of its mounts that have a place to be. The process, of one thread, is in other namespaces afterwards.
sys::Result<FileRoot> open_file_root(const std::string& bundle, const std::string& socket, Access access);

}  // namespace supervisor
