#include "layer/whiteouts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>

#include "layer/name.h"

namespace layer {
namespace {

sys::Error failed(const char* what, const std::string& folder, const std::string& name, int err = errno) {
  sys::Error failure = sys::error("extract", what, err);
  failure.path = printable(folder.empty() ? name : folder + "/" + name);
  return failure;
}

// The folder is gone or replaced: by a later entry, which then won.
bool vanished(const sys::Error& failure) { return failure.err == ENOENT || failure.err == ENOTDIR; }

}  // namespace

sys::Result<void> Whiteouts::hide(std::string_view folder, std::string_view name) {
  auto made = tree_.make_folder(folder);
  if (!made) return made.take_failure();
  pending_.push_back({std::string(folder), std::string(name)});
  return {};
}

sys::Result<void> Whiteouts::hide_all(std::string_view folder) {
  auto made = tree_.make_folder(folder);
  if (!made) return made.take_failure();
  struct stat status = {};
  if (fstat((*made)->get(), &status) != 0) return failed("stat", std::string(folder), ".wh..wh..opq");
  const auto found = tree_.folders().find(status.st_ino);
  if (found != tree_.folders().end()) found->second.opaque = true;
  return {};
}

// True while the whiteout still has to be made.
sys::Result<bool> Whiteouts::settle(const Whiteout& whiteout) {
  auto folder = tree_.find_folder(whiteout.folder);
  if (!folder) {
    if (vanished(folder.failure())) return false;
    return folder.take_failure();
  }
  struct stat status = {};
  if (fstatat((*folder)->get(), whiteout.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return true;
    return failed("stat", whiteout.folder, whiteout.name);
  }
  if (!S_ISDIR(status.st_mode)) return false;
  const auto found = tree_.folders().find(status.st_ino);
  if (found != tree_.folders().end()) {
    found->second.opaque = true;
    found->second.implicit = false;  // the lower folder is deleted, so that this one takes nothing from it
  }
  return false;
}

sys::Result<std::vector<std::string>> Whiteouts::apply() {
  std::vector<Whiteout> missing;
  for (Whiteout& whiteout : pending_) {
    auto wanted = settle(whiteout);
    if (!wanted) return wanted.take_failure();
    if (*wanted) missing.push_back(std::move(whiteout));
  }
  pending_.clear();
  // Only now are all opaque folders known.
  std::vector<std::string> made;
  for (const Whiteout& whiteout : missing) SYS_TRY(make(whiteout, made));
  return made;
}

sys::Result<void> Whiteouts::make(const Whiteout& whiteout, std::vector<std::string>& made) {
  auto walked = tree_.walk(whiteout.folder);
  if (!walked) {
    if (vanished(walked.failure())) return {};
    return walked.take_failure();
  }
  auto& folders = tree_.folders();
  const auto opaque = [&folders](ino_t inode) {
    const auto found = folders.find(inode);
    return found != folders.end() && found->second.opaque;
  };
  if (std::any_of(walked->ancestors.begin(), walked->ancestors.end(), opaque)) return {};
  const int fd = walked->fd->get();
  auto done = make_node(fd, whiteout.name);
  if (done && !*done && nodes_refused_) {
    done = make_marked_file(fd, whiteout.name);
    const auto found = folders.find(walked->ancestors.back());
    if (found != folders.end()) found->second.marked_whiteouts = true;
  }
  if (!done) return failed("make a whiteout", whiteout.folder, whiteout.name, done.failure().err);
  if (*done) made.push_back(walked->path.empty() ? whiteout.name : walked->path + "/" + whiteout.name);
  return {};
}

// False without an error when it exists already (named twice), or when nodes are refused.
sys::Result<bool> Whiteouts::make_node(int folder, const std::string& name) {
  if (nodes_refused_) return false;
  if (mknodat(folder, name.c_str(), S_IFCHR, makedev(0, 0)) == 0) return true;
  if (errno == EEXIST) return false;
  // On overlayfs itself, as in CI containers, only the kernel may make them.
  if (errno != EPERM) return sys::errno_error("mknod");
  nodes_refused_ = true;
  return false;
}

// The form that can be nested, Linux 6.7: an empty file with an attribute, in a folder marked by another
// (mark_folder()).
sys::Result<bool> Whiteouts::make_marked_file(int folder, const std::string& name) {
  const sys::Fd fd(openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    if (errno == EEXIST) return false;
    return sys::errno_error("open");
  }
  if (fsetxattr(fd.get(), (prefix_ + "whiteout").c_str(), "y", 1, 0) != 0) return sys::errno_error("setxattr");
  return true;
}

sys::Result<void> Whiteouts::mark_folder(int fd, const Folder& folder) {
  if (!folder.opaque && !folder.marked_whiteouts) return {};
  const char* value = folder.opaque ? "y" : "x";
  if (fsetxattr(fd, (prefix_ + "opaque").c_str(), value, 1, 0) != 0)
    return failed("mark a folder opaque", folder.path, "");
  return {};
}

}  // namespace layer
