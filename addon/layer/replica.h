// A copy of an upper folder that becomes exact in passes, so that whoever writes to it need stand still but for the
// last: each pass copies what is not known to be as it was at the one before. Blocks are shared where the file system
// can.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "sys/fd.h"
#include "sys/result.h"

namespace layer {

// A file, wherever its names are.
using FileId = std::pair<dev_t, ino_t>;

// Files whose change times may not tell that they were written to.
struct Doubts {
  bool all = false;
  std::set<ino_t> inodes;

  [[nodiscard]] bool has(const struct stat& file) const {
    return S_ISREG(file.st_mode) && (all || inodes.contains(file.st_ino));
  }
};

class Replica {
 public:
  // `from` is the upper folder, on a mount that is nodev: it may be hostile, and nothing is looked up in it but by one
  // name in one open folder, nor is a link followed. `to` is an empty folder that nobody else has. Both outlive this.
  // More than `depth` folders in each other are an error.
  Replica(int from, int to, size_t depth = 1024) : from_(from), to_(to), depth_(depth) {}

  struct Pass {
    uint64_t looked = 0;  // things there are
    uint64_t made = 0;    // of them copied, again or for the first time
    uint64_t bytes = 0;   // of files that were
  };

  // `to` is what `from` was at some moments while this ran; what changed its kind under the look is left for the next
  // pass. Content, owners, modes, times, hardlinks, overlayfs's marks and the attributes that an image or an overlay in
  // the container may have; no sockets. Steps of errors: "read tree", "copy", "limit".
  sys::Result<Pass> pass() { return run(false, {}); }

  // The same of a moment: for as long as this runs nobody writes to `from`, and what still moves is an error.
  sys::Result<Pass> last_pass(const Doubts& doubts) { return run(true, doubts); }

 private:
  // What was copied, and how to see that it is still the same.
  struct Node {
    mode_t type = 0;
    FileId id;
    timespec changed = {};
    bool settled = false;  // a later change would show
    bool several = false;  // names
    std::map<std::string, Node> children;
  };
  // A file with several names: as it was copied last, and its names in the copy that are of that.
  struct Links {
    std::set<std::string> paths;
    timespec changed = {};
    bool settled = false;
    uint64_t pass = 0;
  };
  class Copy;
  enum class Made { kDone, kMoved };

  sys::Result<Pass> run(bool last, const Doubts& doubts);
  sys::Result<bool> folder(int from, Copy& to, Node& node, const struct stat& status);
  sys::Result<void> visit(int from, Copy& to, const std::string& name, Node& parent, bool& touched);
  sys::Result<bool> member(int from, Copy& to, const std::string& name, Node& parent);
  sys::Result<bool> subfolder(int from, Copy& to, const std::string& name, Node& parent, const struct stat& seen);
  sys::Result<Made> make(int from, int to, const std::string& name, const struct stat& seen, Node& node);
  sys::Result<Made> make_file(int from, int to, const std::string& name, Node& node);
  static sys::Result<Made> make_link(int from, int to, const std::string& name, const struct stat& seen,
                                     const std::string& path);
  sys::Result<bool> link_to_copy(int to, const std::string& name, const struct stat& seen, Node& node);
  void note_name(const Node& node);
  size_t enter(const std::string& name);
  sys::Result<void> forget(Copy& to, const std::string& name, Node& parent);
  sys::Result<void> remove_copy(int to, const std::string& name, const Node& node);
  [[nodiscard]] bool is_known(const Node& node, const struct stat& seen) const;
  void note(Node& node, const struct stat& seen) const;
  [[nodiscard]] sys::Error failed(const char* step, int err = errno) const;
  sys::Result<Made> moved(int err) const;

  const int from_;
  const int to_;
  const size_t depth_;
  Node root_;
  std::map<FileId, Links> links_;
  std::string path_;  // of what is in hand
  size_t level_ = 0;
  Pass pass_;
  uint64_t passes_ = 0;
  bool last_ = false;
  const Doubts* doubts_ = nullptr;
};

}  // namespace layer
