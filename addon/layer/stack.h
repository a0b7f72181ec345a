// Unpacked layers above each other, looked at as overlayfs would show them (Documentation/filesystems/overlayfs.rst),
// without mounting.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.h"
#include "sys/result.h"

namespace layer {

// One layer's folder behind a merged one.
struct Part {
  size_t layer = 0;  // 0 is the topmost
  std::shared_ptr<const sys::Fd> fd;
};

// A merged folder: the layers that show through in it, topmost first.
using Parts = std::vector<Part>;

class Stack {
 public:
  static sys::Result<Stack> open(const std::vector<std::string>& layers);

  // Of folders that are open already, topmost first.
  static Stack of(std::vector<sys::Fd> layers);

  // This one, then the layers of `lower`.
  [[nodiscard]] Stack over(const Stack& lower) const;

  // The same without the topmost layer.
  [[nodiscard]] Stack below_top() const;

  // The merged folder at a clean path without links; empty when there is none.
  [[nodiscard]] sys::Result<Parts> folder(std::string_view path) const;

  // The topmost thing called `path`, which is no folder. Links on the way are followed within the stack, the last name
  // is not.
  struct Node {
    std::shared_ptr<const sys::Fd> parent;  // null: there is none
    std::string name;
  };
  [[nodiscard]] sys::Result<Node> node(std::string_view path) const;

  // What a name means in a merged folder: a folder, something else, or, when both are empty, nothing.
  struct Entry {
    Parts folder;
    Node other;
    bool is_link = false;
  };
  static sys::Result<Entry> look_up(const Parts& folder, const std::string& name);
  // All names that any of the layers has there, whiteouts too.
  static sys::Result<std::set<std::string>> names_in(const Parts& folder);

 private:
  [[nodiscard]] Parts root() const;

  std::vector<std::shared_ptr<const sys::Fd>> roots_;
};

}  // namespace layer
