// Entries of a tar archive, one after the other, into the folder of a layer.
#pragma once

#include <string>
#include <vector>

#include "layer/hardlinks.h"
#include "layer/metadata.h"
#include "layer/tar_reader.h"
#include "layer/tree.h"
#include "layer/whiteouts.h"

namespace layer {

struct WriterOptions {
  bool userxattr = false;     // overlay attributes are user.overlay.*, devices are skipped where they are refused
  bool ignore_chown = false;  // owners that can't be given are left out
  size_t max_depth = 1024;
};

struct Report {
  std::vector<std::string> implicit;
  std::vector<std::string> whiteouts;
  std::vector<LowerLink> lower_links;
  std::vector<std::string> warnings;
  uint64_t skipped_devices = 0;
};

// The process's umask must be 0. Errors have the step "extract" or "limit" and name the entry in `path`.
class Writer {
 public:
  Writer(Tree& tree, const WriterOptions& options);

  // The entry is in the tree, in place of what had its name: of duplicates the last wins, and a folder over a folder
  // keeps its children.
  sys::Result<void> add(const Entry& entry, TarReader& data);

  // What can only be done at the end: late hardlinks, whiteouts, times of folders. Called once.
  sys::Result<Report> finish();

 private:
  sys::Result<void> add_ordinary(const Entry& entry, const std::string& path, TarReader& data);
  sys::Result<void> add_folder(const Entry& entry, const std::string& path);
  sys::Result<void> add_root(const Entry& entry);
  sys::Result<void> add_file(const Entry& entry, int folder, const std::string& name, TarReader& data);
  sys::Result<void> add_symlink(const Entry& entry, int folder, const std::string& name);
  sys::Result<void> add_node(const Entry& entry, int folder, const std::string& name);
  sys::Result<void> add_hardlink(const Entry& entry, const std::string& path);
  [[nodiscard]] std::string real_path(int parent, const std::string& name, const std::string& path) const;
  sys::Result<void> give_attributes(int fd, const Entry& entry, Folder& folder);

  sys::Result<void> finish_folders();
  sys::Result<void> finish_folder(ino_t inode, const Folder& folder);

  Tree& tree_;
  const WriterOptions options_;
  const bool privileged_;
  Warnings warnings_;
  Metadata metadata_;
  Hardlinks hardlinks_;
  Whiteouts whiteouts_;
  uint64_t skipped_devices_ = 0;
};

}  // namespace layer
