// An archive's members put into folders that exist and are in use: a container's, which may change them meanwhile, or a
// user's. Unlike a layer's, they are not alone there, names beginning with ".wh." mean nothing, and a file appears
// under its name when it is whole.
#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "layer/metadata.h"
#include "layer/plain_input.h"
#include "layer/tar_reader.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace layer {

struct DepositOptions {
  std::string base;         // a clean path below the root: what the archive's own root becomes
  bool base_stays = false;  // it existed, and keeps its attributes
  size_t strip = 0;         // so many leading parts are taken off every name
  // Links on the way below the root are followed as in a container of that root; or, with `beneath`, not at all.
  bool beneath = false;
  enum class Owners { kKept, kRoot, kOwn } owners = Owners::kKept;
  bool plain = false;    // no set-id bits and no attributes
  bool devices = false;  // are made, where the folder is an overlay's; else left out with a warning
  uint64_t entries = 2'000'000;
  uint32_t depth = 1024;  // folders in each other
};

class Deposit {
 public:
  // `root` is the caller's and outlives this; the process's umask is 0.
  Deposit(int root, DepositOptions options);

  // All members of the archive are in their places. A folder goes into one that exists and gives it its attributes; a
  // folder in the place of another thing, or the reverse, is an error: EISDIR, ENOTDIR. Errors have the step "extract",
  // "limit" or the reader's, and name the entry.
  sys::Result<void> run(ByteSource& source);

  // From another thread, when this process is about to end: no half-written file stays. Nothing more is written.
  void abandon();

  [[nodiscard]] uint64_t entries() const { return entries_; }
  std::vector<std::string> warnings() { return warnings_.take(); }

 private:
  using Shared = std::shared_ptr<const sys::Fd>;
  struct Folder {
    std::string path;
    mode_t mode;
    Time modified;
  };

  sys::Result<void> add(Entry& entry, TarReader& data);
  sys::Result<void> add_folder(const Entry& entry, const std::string& path);
  sys::Result<void> add_file(const Entry& entry, int parent, const std::string& name, TarReader& data);
  sys::Result<void> fill(int fd, const Entry& entry, TarReader& data);
  sys::Result<void> settle(int fd, int parent, const std::string& temporary, const std::string& name);
  sys::Result<void> add_symlink(const Entry& entry, int parent, const std::string& name);
  sys::Result<void> add_node(const Entry& entry, int parent, const std::string& name, const std::string& path);
  sys::Result<void> add_hardlink(const Entry& entry, int parent, const std::string& name);
  sys::Result<void> finish();

  // Where a name of the archive goes; the empty path is the root.
  [[nodiscard]] sys::Result<std::string> place_of(const std::string& name) const;
  [[nodiscard]] int open_folder(const std::string& path, int flags) const;
  // What is missing of it is made.
  sys::Result<Shared> folder(const std::string& path);
  // Nothing, or something that is no folder, is called so, and is gone.
  static sys::Result<void> make_way(int parent, const std::string& name);
  sys::Result<void> give_name_attributes(int parent, const std::string& name, const Entry& entry) const;
  [[nodiscard]] bool chown_failed(int result) const;

  const int root_;
  const DepositOptions options_;
  const uint64_t resolve_;
  Warnings warnings_;
  uint64_t entries_ = 0;
  std::string cached_path_;
  Shared cached_;
  std::vector<Folder> folders_;
  std::set<std::string> left_out_;
  std::mutex mutex_;  // of the two below
  int temporary_folder_ = -1;
  std::string temporary_;
};

}  // namespace layer
