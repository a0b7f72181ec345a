// Unpacked layers above each other, looked at as overlayfs would show them (Documentation/filesystems/overlayfs.rst),
// without mounting.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.h"
#include "sys/result.h"

namespace layer {

// One layer's folder behind a merged one.
struct Part {
  size_t layer = 0;  // 0 is the topmost
  sys::Fd fd;
};

// A merged folder: the layers that show through in it, topmost first.
using Parts = std::vector<Part>;

class Stack {
 public:
  static sys::Result<Stack> open(const std::vector<std::string>& layers);

  // The merged folder at a clean path without links; empty when there is none.
  [[nodiscard]] sys::Result<Parts> folder(std::string_view path) const;

  // The topmost thing called `path`, which is no folder. Links on the way are followed within the stack, the last name
  // is not.
  struct Node {
    sys::Fd parent;  // -1: there is none
    std::string name;
  };
  [[nodiscard]] sys::Result<Node> node(std::string_view path) const;

 private:
  struct Entry {
    Parts folder;
    Node other;
    bool is_link = false;
  };
  [[nodiscard]] sys::Result<Parts> root() const;
  static sys::Result<Entry> look_up(const Parts& folder, const std::string& name);

  std::vector<sys::Fd> roots_;
};

}  // namespace layer
