#include "layer/tree.h"

#include <fcntl.h>

#include <algorithm>
#include <climits>

#include "layer/name.h"
#include "layer/remove_tree.h"
#include "sys/kernel.h"

namespace layer {
namespace {

// Well below any RLIMIT_NOFILE; archives are written folder by folder, so that a few suffice.
constexpr size_t kCachedFolders = 64;
// As the kernel: MAXSYMLINKS.
constexpr int kMaxLinks = 40;
constexpr int kLook = O_PATH | O_DIRECTORY;
constexpr uint32_t kImplicitMode = 0755;

sys::Error at(std::string_view path, int err = errno) { return sys::errno_error("extract", printable(path), err); }

// Components still to be walked, the next one last.
void push_components(std::vector<std::string>& pending, std::string_view path) {
  const size_t first = pending.size();
  while (!path.empty()) {
    const size_t slash = path.find('/');
    pending.emplace_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  std::reverse(pending.begin() + static_cast<ptrdiff_t>(first), pending.end());
}

sys::Result<std::string> read_link(int fd, std::string_view path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = readlinkat(fd, "", target.data(), target.size());
  if (size < 0) return at(path);
  target.resize(static_cast<size_t>(size));
  return target;
}

// Where a walk from the root stands. ".." and links start again from the root along the names, not through the kernel's
// "..", which somebody could have moved elsewhere; and one descriptor is enough at any depth.
struct Trail {
  int root;
  SharedFd folder;
  std::vector<std::string> names;
  std::vector<ino_t> inodes;  // names.size() + 1 of them

  [[nodiscard]] std::string path() const {
    std::string joined;
    for (const std::string& name : names) {
      if (!joined.empty()) joined += '/';
      joined += name;
    }
    return joined;
  }

  sys::Result<void> enter(const std::string& name, sys::Fd opened) {
    struct stat status = {};
    if (fstat(opened.get(), &status) != 0) return at(name);
    folder = std::make_shared<const sys::Fd>(std::move(opened));
    names.push_back(name);
    inodes.push_back(status.st_ino);
    return {};
  }

  // Stands in the root, then in the folder that the first `depth` names lead to.
  sys::Result<void> restart(size_t depth) {
    std::vector<std::string> again(names.begin(), names.begin() + static_cast<ptrdiff_t>(depth));
    struct stat status = {};
    sys::Fd fd(openat(root, ".", kLook | O_CLOEXEC));
    if (!fd || fstat(fd.get(), &status) != 0) return at("");
    folder = std::make_shared<const sys::Fd>(std::move(fd));
    names.clear();
    inodes = {status.st_ino};
    for (const std::string& name : again) {
      sys::Fd next(openat(folder->get(), name.c_str(), kLook | O_NOFOLLOW | O_CLOEXEC));
      if (!next) return at(name);
      SYS_TRY(enter(name, std::move(next)));
    }
    return {};
  }
};

}  // namespace

sys::Result<Tree> Tree::open(int root, bool ignore_chown) {
  struct stat status = {};
  if (fstat(root, &status) != 0) return at("");
  if (!S_ISDIR(status.st_mode)) return at("", ENOTDIR);
  Tree tree(root, ignore_chown);
  tree.note(status.st_ino, "");
  return tree;
}

Folder& Tree::note(ino_t inode, std::string path) {
  Folder& folder = folders_[inode];
  folder = Folder();
  folder.path = std::move(path);
  return folder;
}

void Tree::remember(std::string_view path, SharedFd fd) {
  if (cache_.size() >= kCachedFolders) cache_.clear();
  cache_.insert_or_assign(std::string(path), std::move(fd));
}

bool Tree::chown_failed(int result) const {
  // EINVAL: the id has no mapping in this user namespace. EPERM: not privileged at all.
  return result != 0 && !(ignore_chown_ && (errno == EINVAL || errno == EPERM));
}

sys::Result<SharedFd> Tree::find_folder(std::string_view path) {
  const std::string key(path);
  const auto cached = cache_.find(key);
  if (cached != cache_.end()) return cached->second;
  sys::Fd fd(sys::openat2(root_, key.empty() ? "." : key.c_str(), kLook, sys::kInRoot));
  if (!fd) {
    // Longer than PATH_MAX, or a kernel or sandbox without openat2: step by step.
    if (errno != ENAMETOOLONG && errno != ENOSYS) return at(path);
    auto walked = walk(path);
    if (!walked) return walked.take_failure();
    remember(path, walked->fd);
    return walked->fd;
  }
  auto shared = std::make_shared<const sys::Fd>(std::move(fd));
  remember(path, shared);
  return SharedFd(std::move(shared));
}

sys::Result<SharedFd> Tree::make_folder(std::string_view path) {
  auto found = find_folder(path);
  if (found || (found.failure().err != ENOENT && found.failure().err != ENOTDIR)) return found;
  auto made = resolve(path, true);
  if (!made) return made.take_failure();
  remember(path, made->fd);
  return made->fd;
}

sys::Result<Tree::Walked> Tree::resolve(std::string_view path, bool make) {
  Trail trail = {root_, nullptr, {}, {}};
  SYS_TRY(trail.restart(0));
  std::vector<std::string> pending;
  push_components(pending, path);
  size_t own_components = pending.size();  // what lies above them was brought in by a link
  int links = 0;
  while (!pending.empty()) {
    const std::string name = std::move(pending.back());
    pending.pop_back();
    const bool from_link = pending.size() >= own_components;
    if (!from_link) own_components = pending.size();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (!trail.names.empty()) SYS_TRY(trail.restart(trail.names.size() - 1));
      continue;
    }
    sys::Fd fd(openat(trail.folder->get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && (errno != ENOENT || !make)) return at(path);
    struct stat status = {};
    if (fd && fstat(fd.get(), &status) != 0) return at(path);
    if (fd && S_ISDIR(status.st_mode)) {
      SYS_TRY(trail.enter(name, std::move(fd)));
      continue;
    }
    if (fd && S_ISLNK(status.st_mode)) {
      if (++links > kMaxLinks) return at(path, ELOOP);
      auto target = read_link(fd.get(), path);
      if (!target) return target.take_failure();
      if (target->starts_with('/')) SYS_TRY(trail.restart(0));
      push_components(pending, *target);
      continue;
    }
    // A file in the way of a folder is replaced by it if the archive names it so; but a link to a file must not cost
    // the file.
    if (fd && (!make || from_link)) return at(path, ENOTDIR);
    const std::string full = trail.names.empty() ? name : trail.path() + "/" + name;
    auto made = make_implicit(trail.folder->get(), name, full, static_cast<bool>(fd));
    if (!made) return made.take_failure();
    SYS_TRY(trail.enter(name, std::move(*made)));
  }
  return Walked{trail.folder, trail.path(), std::move(trail.inodes)};
}

sys::Result<sys::Fd> Tree::make_implicit(int parent, const std::string& name, const std::string& path, bool replacing) {
  if (replacing && unlinkat(parent, name.c_str(), 0) != 0) return at(path);
  if (mkdirat(parent, name.c_str(), kImplicitMode) != 0) return at(path);
  sys::Fd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status = {};
  if (!fd || fstat(fd.get(), &status) != 0) return at(path);
  // A set-group-ID parent gave it its group and that bit.
  if (chown_failed(fchown(fd.get(), 0, 0)) || fchmod(fd.get(), kImplicitMode) != 0) return at(path);
  Folder& folder = note(status.st_ino, path);
  // What it replaced had already hidden whatever lower layers have under this name.
  folder.opaque = replacing;
  folder.implicit = !replacing;
  return fd;
}

sys::Result<Tree::Removed> Tree::remove(int parent, const std::string& name) {
  struct stat status = {};
  if (fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return Removed::kNothing;
    return at(name);
  }
  // Cached ways may lead through it.
  if (S_ISDIR(status.st_mode) || S_ISLNK(status.st_mode)) cache_.clear();
  if (S_ISDIR(status.st_mode)) {
    SYS_TRY(remove_tree(parent, name.c_str(), [this](ino_t inode) { folders_.erase(inode); }));
    return Removed::kFolder;
  }
  if (unlinkat(parent, name.c_str(), 0) != 0) return at(name);
  return Removed::kOther;
}

}  // namespace layer
