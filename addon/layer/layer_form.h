// What makes a layer (OCI image spec 1.1, layer.md) of an upper folder's archive: overlayfs's marks become whiteouts,
// and what every start makes as places for its own mounts is left out.
#pragma once

#include <sys/stat.h>

#include <string>

#include "layer/stack.h"
#include "layer/tar_entry.h"
#include "sys/result.h"

namespace layer {

class LayerForm {
 public:
  // The layers that the upper folder lies on, which outlive this.
  explicit LayerForm(const Stack& below) : below_(below) {}

  // Fails on a name that a layer has no way to tell: whoever unpacks it would take it for a whiteout.
  static sys::Result<void> check_name(const std::string& name, const std::string& path);

  // The entry that hides what lower layers have at `path`, whose mark in the upper folder has this status.
  static Entry whiteout(const std::string& path, const struct stat& mark);
  // The entry that hides all that lower layers have in the folder `path`.
  static Entry opaque(const std::string& path, const struct stat& folder);

  // The upper folder has `path` only because a start needed a place to mount something on. `fd` is the folder that it
  // is, or -1 where it is none: one that a start put such a place into is still what lower layers have.
  [[nodiscard]] sys::Result<bool> is_place(const std::string& path, const struct stat& status, int fd) const;

  // Mode, owner and attributes of the upper folder itself are those of the folder that it covers.
  [[nodiscard]] sys::Result<bool> same_root(int upper) const;

 private:
  const Stack& below_;
};

}  // namespace layer
