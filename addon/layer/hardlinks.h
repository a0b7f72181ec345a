// Hardlinks within a layer, to names that come later in it, and to files of lower layers.
#pragma once

#include <string>
#include <vector>

#include "layer/tree.h"
#include "sys/result.h"

namespace layer {

// A hardlink whose target this layer does not have: the file is some lower layer's. Layers are unpacked apart from each
// other, so that the chain step must make it.
struct LowerLink {
  std::string path;
  std::string target;
};

class Hardlinks {
 public:
  explicit Hardlinks(Tree& tree) : tree_(tree) {}

  // `path` is another name of `target` (clean paths), or will be after finish(). The target's folder is resolved like
  // any; the target itself is not followed (a hardlink to a symlink is one). Its attributes are not touched, as in GNU
  // tar.
  sys::Result<void> add(const std::string& path, const std::string& target);

  // Links what could not be linked when it was read. Returns what remains.
  sys::Result<std::vector<LowerLink>> finish();

 private:
  enum class Outcome { kDone, kNoTarget };
  sys::Result<Outcome> link(int folder, const std::string& path, const std::string& target);
  // Whether `path` still waits for its target: a later entry may have taken the name.
  sys::Result<bool> still_wanted(const LowerLink& link, SharedFd& folder);

  Tree& tree_;
  std::vector<LowerLink> waiting_;
};

}  // namespace layer
