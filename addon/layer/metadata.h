// Owners, extended attributes, modes and times, in the one order that keeps them all: chown(2) clears set-user-ID bits
// and security.capability, a POSIX ACL changes the mode, writing changes the times.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "layer/tar_entry.h"
#include "layer/tree.h"
#include "sys/result.h"

namespace layer {

// Things that were left out without failing the layer: the first few in words.
class Warnings {
 public:
  void add(std::string text);
  std::vector<std::string> take() { return std::move(texts_); }

 private:
  std::vector<std::string> texts_;
};

class Metadata {
 public:
  Metadata(const Tree& tree, Warnings& warnings) : tree_(tree), warnings_(warnings) {}

  // A regular file, its data written: everything.
  sys::Result<void> finish_file(int fd, const Entry& entry);
  // A folder: owner, attributes, and mode if `mode` is set. A default ACL goes to `default_acl`: given now, later
  // children would inherit it.
  sys::Result<void> start_folder(int fd, const Entry& entry, std::optional<uint32_t> mode,
                                 std::optional<std::string>& default_acl);
  // A link or node called `name` in `parent`, never followed.
  sys::Result<void> finish_node(int parent, const std::string& name, const Entry& entry);

  // What an earlier entry gave this folder is taken from it.
  static sys::Result<void> clear_xattrs(int fd);

 private:
  sys::Result<void> check_xattr(int result, const Xattr& xattr, const Entry& entry);

  const Tree& tree_;
  Warnings& warnings_;
};

// For utimensat(2): access time not before the modification time, both within what every file system holds.
struct Times {
  timespec both[2];
};
Times times_of(const std::optional<Time>& accessed, const Time& modified);

}  // namespace layer
