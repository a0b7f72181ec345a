// The folder that a layer is unpacked into: every name is resolved as if it were "/", by descriptors, so that no link
// in the archive and no rename by somebody else leads out of it. It remembers every folder made, because their last
// attributes come last.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "layer/tar_entry.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace layer {

using SharedFd = std::shared_ptr<const sys::Fd>;

// What is known of one folder of the tree.
struct Folder {
  std::string path;  // clean, and free of links
  // No entry of its own: its attributes are the nearest lower layer's, which the chain step copies.
  bool implicit = true;
  // Hides all that lower layers have there.
  bool opaque = false;
  // Holds whiteouts in the form of attributes, which the kernel looks for only in folders so marked.
  bool marked_whiteouts = false;
  std::optional<Time> accessed;
  std::optional<Time> modified;
  std::optional<uint32_t> mode;            // where it could not be given at once
  std::optional<std::string> default_acl;  // given last: children made later would inherit it
};

class Tree {
 public:
  // `root` is an empty folder; the descriptor stays the caller's and outlives the tree.
  static sys::Result<Tree> open(int root, bool ignore_chown);

  [[nodiscard]] int root() const { return root_; }

  // The folder at the clean `path`; what is missing of it is made (0755, root's, implicit), what is no folder is
  // replaced by one.
  sys::Result<SharedFd> make_folder(std::string_view path);
  // The folder at the clean `path`, if there is one: else the errors ENOENT, ENOTDIR, ELOOP.
  sys::Result<SharedFd> find_folder(std::string_view path);

  struct Walked {
    SharedFd fd;
    std::string path;              // without links
    std::vector<ino_t> ancestors;  // from the root to the folder itself
  };
  // As find_folder(), telling the way.
  sys::Result<Walked> walk(std::string_view path) { return resolve(path, false); }

  // Nothing is called `name` in `parent` any more. What was there is told: nothing, a folder, or something else.
  enum class Removed { kNothing, kFolder, kOther };
  sys::Result<Removed> remove(int parent, const std::string& name);

  // By inode number: one file system, and entries leave when their folder is removed.
  std::unordered_map<ino_t, Folder>& folders() { return folders_; }
  // Notes a folder that was just made.
  Folder& note(ino_t inode, std::string path);

  // A folder just made or found gets into the cache.
  void remember(std::string_view path, SharedFd fd);

  // chown(2)'s answer, or success where the request says that owners do not matter (one id in the user namespace).
  [[nodiscard]] bool chown_failed(int result) const;

 private:
  Tree(int root, bool ignore_chown) : root_(root), ignore_chown_(ignore_chown) {}

  sys::Result<Walked> resolve(std::string_view path, bool make);
  // A folder called `name` in `parent`, of mode 0755 and root's.
  sys::Result<sys::Fd> make_implicit(int parent, const std::string& name, const std::string& path, bool replacing);

  int root_;
  bool ignore_chown_;
  std::unordered_map<std::string, SharedFd> cache_;
  std::unordered_map<ino_t, Folder> folders_;
};

}  // namespace layer
