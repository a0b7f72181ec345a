// Paths in a root that somebody else may be changing: where what is copied lies, and where it goes.
#pragma once

#include <string>
#include <string_view>

#include "sys/fd.h"
#include "sys/result.h"

namespace layer {

// A kernel's own file system (proc, sysfs, cgroup, devpts and their like): what is written there are commands, and what
// is read may never end.
bool is_kernel_files(int fd);

// One name in one open folder: whatever is renamed on the way to it, it is looked up nowhere else.
struct Located {
  sys::Fd parent;
  std::string name;  // empty: the root itself, which is `parent`
  std::string path;  // from the root, clean; of a followed link where it led
};

// What `path` is called in its folder. Links on the way, and with `follow` at its end, are followed as if `root` were
// "/", magic ones never; a link at the end may lead to nothing. "." and ".." count by the text, as in Docker. The thing
// itself need not exist. Errors: step "find".
sys::Result<Located> locate(int root, std::string_view path, bool follow);

// What is to be copied, as far as the place it gets depends on it.
struct Source {
  std::string name;
  bool folder = false;
  bool contents = false;  // of the folder, not the folder: SRC/.
};

struct Destination {
  std::string path;     // that the source becomes, from the root
  bool exists = false;  // as a folder that what is copied goes into
};

// By the rules of `docker cp`: into a folder that exists; in the place of a file that exists; else under this name,
// whose folder must exist. Errors: step "find", ENOENT, ENOTDIR where a folder was asked for, EISDIR for a folder in
// the place of a file.
sys::Result<Destination> settle_destination(int root, std::string_view path, const Source& source);

}  // namespace layer
