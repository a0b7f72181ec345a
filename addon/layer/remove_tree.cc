#include "layer/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "layer/name.h"
#include "sys/fd.h"

namespace layer {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct Level {
  std::string name;  // in the folder above
  dev_t device;
  ino_t inode;
};

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

// All but folders is removed from `fd`; `child` is a folder found in it, empty if there is none.
sys::Result<void> clear(int fd, std::string& child) {
  child.clear();
  const int copy = openat(fd, ".", kFolder);
  if (copy < 0) return sys::errno_error("extract");
  const std::unique_ptr<DIR, CloseFolder> folder(fdopendir(copy));
  if (!folder) {
    close(copy);
    return sys::errno_error("extract", {}, ENOMEM);
  }
  while (true) {
    errno = 0;
    const dirent* found = readdir(folder.get());
    if (found == nullptr) break;
    if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
    if (unlinkat(fd, found->d_name, 0) == 0) continue;
    // EISDIR on Linux; EPERM is what POSIX says, and some file systems with it.
    if (errno != EISDIR && errno != EPERM) return sys::errno_error("extract", printable(found->d_name));
    child = found->d_name;
    return {};
  }
  if (errno != 0) return sys::errno_error("extract");
  return {};
}

}  // namespace

sys::Result<void> remove_tree(int parent, const char* name, const std::function<void(ino_t)>& gone) {
  std::vector<Level> levels;
  sys::Fd current;
  std::string child = name;
  int above = parent;
  while (true) {
    if (!child.empty()) {
      sys::Fd opened(openat(above, child.c_str(), kFolder));
      struct stat status = {};
      if (!opened || fstat(opened.get(), &status) != 0) return sys::errno_error("extract", printable(child));
      levels.push_back({child, status.st_dev, status.st_ino});
      current = std::move(opened);
    }
    SYS_TRY(clear(current.get(), child));
    above = current.get();
    if (!child.empty()) continue;
    const Level done = std::move(levels.back());
    levels.pop_back();
    sys::Fd up;
    if (!levels.empty()) {
      up.reset(openat(current.get(), "..", kFolder));
      struct stat status = {};
      if (!up || fstat(up.get(), &status) != 0) return sys::errno_error("extract", printable(done.name));
      if (status.st_dev != levels.back().device || status.st_ino != levels.back().inode) {
        return sys::errno_error("extract", printable(done.name), EXDEV);
      }
    }
    if (unlinkat(levels.empty() ? parent : up.get(), done.name.c_str(), AT_REMOVEDIR) != 0) {
      return sys::errno_error("extract", printable(done.name));
    }
    gone(done.inode);
    if (levels.empty()) return {};
    current = std::move(up);
    above = current.get();
  }
}

}  // namespace layer
