#include "sys/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "sys/fd.h"
#include "sys/kernel.h"

namespace sys {
namespace {

// Each level holds a descriptor open. Deeper folders are first moved to the top, where they are shallow.
constexpr int kMaxDepth = 64;
// Who still has the files mounted may be writing. Each try closes one folder to them for good, or finds it empty.
constexpr int kMaxTries = 1000;
constexpr uint64_t kNoWayOut = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

class Remover {
 public:
  Remover(std::string path, bool measure) : path_(std::move(path)), measure_(measure) {}

  Result<uint64_t> run();

 private:
  void remove_entry(int parent, const char* name, bool is_folder, int depth);
  void remove_folder(int parent, const char* name, int folder, int depth);
  void empty_folder(int folder, int depth);
  bool unlink_entry(int parent, const char* name, int flags);
  bool lift(int parent, const char* name);
  Fd open_folder(int parent, const char* name);
  void note(const char* step, const char* name);

  std::string path_;
  bool measure_;
  int top_ = -1;
  uint64_t freed_ = 0;
  uint64_t lifted_ = 0;
  bool failed_ = false;
  Error failure_;
};

void Remover::note(const char* step, const char* name) {
  if (errno == ENOENT || failed_) return;
  failed_ = true;
  failure_ = errno_error(step, path_ + "/…/" + name);
}

Fd Remover::open_folder(int parent, const char* name) {
  const uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  Fd fd(openat2(parent, name, flags, kNoWayOut));
  // A folder without permissions stops its own owner, if that isn't root.
  if (!fd && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0) fd.reset(openat2(parent, name, flags, kNoWayOut));
  return fd;
}

bool Remover::unlink_entry(int parent, const char* name, int flags) {
  struct stat status {};
  const bool counts =
      measure_ && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && (flags != 0 || status.st_nlink == 1);
  if (unlinkat(parent, name, flags) < 0) return false;
  if (counts) freed_ += static_cast<uint64_t>(status.st_blocks) * 512;
  return true;
}

bool Remover::lift(int parent, const char* name) {
  const std::string fresh = ".lifted-" + std::to_string(getpid()) + "-" + std::to_string(lifted_++);
  return renameat(parent, name, top_, fresh.c_str()) == 0;
}

void Remover::remove_entry(int parent, const char* name, bool is_folder, int depth) {
  if (is_folder) {
    // Most folders of an upper are small; but an empty one needs no look inside.
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return;
    if (depth >= kMaxDepth && lift(parent, name)) return;
    const Fd folder = open_folder(parent, name);
    if (!folder) {
      note("open", name);
      return;
    }
    remove_folder(parent, name, folder.get(), depth + 1);
  } else if (!unlink_entry(parent, name, 0)) {
    note("unlink", name);
  }
}

void Remover::remove_folder(int parent, const char* name, int folder, int depth) {
  for (int tries = 1;; tries++) {
    empty_folder(folder, depth);
    if (unlink_entry(parent, name, AT_REMOVEDIR)) return;
    if (errno != ENOTEMPTY || failed_ || tries == kMaxTries) return note("unlink", name);
  }
}

void Remover::empty_folder(int folder, int depth) {
  const int copy = fcntl(folder, F_DUPFD_CLOEXEC, 0);
  const Dir dir(copy < 0 ? nullptr : fdopendir(copy));
  if (!dir) {
    if (copy >= 0) close(copy);
    note("readdir", "");
    return;
  }
  uint64_t lifted_before = 0;
  do {
    lifted_before = lifted_;
    rewinddir(dir.get());
    while (const dirent* entry = readdir(dir.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      bool is_folder = entry->d_type == DT_DIR;
      if (entry->d_type == DT_UNKNOWN) {
        struct stat status {};
        is_folder = fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
      }
      remove_entry(folder, name.c_str(), is_folder, depth);
    }
    // What was lifted to the top may lie behind the reading position.
  } while (folder == top_ && lifted_ != lifted_before);
}

Result<uint64_t> Remover::run() {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  const size_t slash = path_.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
  const std::string name = path_.substr(slash == std::string::npos ? 0 : slash + 1);
  if (name.empty() || name == "." || name == "..") return error("remove", "not a path to remove: " + path_, EINVAL);

  const Fd parent_fd(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent_fd && errno == ENOENT) return uint64_t{0};
  if (!parent_fd) return errno_error("open", parent);
  struct stat status {};
  if (fstatat(parent_fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return uint64_t{0};
    return errno_error("stat", path_);
  }
  if (S_ISDIR(status.st_mode)) {
    const Fd top = open_folder(parent_fd.get(), name.c_str());
    if (!top) return errno_error("open", path_);
    top_ = top.get();
    remove_folder(parent_fd.get(), name.c_str(), top_, 1);
  } else if (!unlink_entry(parent_fd.get(), name.c_str(), 0)) {
    note("unlink", name.c_str());
  }
  if (failed_) return std::move(failure_);
  return freed_;
}

}  // namespace

Result<uint64_t> remove_tree(const std::string& path, bool measure) { return Remover(path, measure).run(); }

}  // namespace sys
