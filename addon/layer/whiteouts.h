// Whiteouts of a layer, brought into overlayfs's form when all else is unpacked: only then is known what this layer
// itself has, and a whiteout hides nothing but lower layers, wherever in the archive it stands (OCI image spec 1.1,
// layer.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "layer/tree.h"
#include "sys/result.h"

namespace layer {

class Whiteouts {
 public:
  // `userxattr`: the overlay will be mounted in a user namespace, which may only use user.overlay.*.
  Whiteouts(Tree& tree, bool userxattr) : tree_(tree), prefix_(userxattr ? "user.overlay." : "trusted.overlay.") {}

  // Lower layers' `name` is hidden in `folder` (a clean path), which is made if it is missing.
  sys::Result<void> hide(std::string_view folder, std::string_view name);
  // Everything that lower layers have in `folder` is hidden.
  sys::Result<void> hide_all(std::string_view folder);

  // Makes the whiteouts; marks folders in tree.folders(), for mark_folder(). Returns the paths of those made: dropped
  // are those for names that this layer has, and those in opaque folders, where overlayfs does not look for whiteouts
  // and so would show them.
  sys::Result<std::vector<std::string>> apply();

  // The attributes on a folder that carry what apply() found.
  sys::Result<void> mark_folder(int fd, const Folder& folder);

 private:
  struct Whiteout {
    std::string folder;
    std::string name;
  };

  sys::Result<bool> settle(const Whiteout& whiteout);
  sys::Result<void> make(const Whiteout& whiteout, std::vector<std::string>& made);
  sys::Result<bool> make_node(int folder, const std::string& name);
  sys::Result<bool> make_marked_file(int folder, const std::string& name);

  Tree& tree_;
  std::string prefix_;
  std::vector<Whiteout> pending_;
  bool nodes_refused_ = false;
};

}  // namespace layer
