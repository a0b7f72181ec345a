#include "layer/mend.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <set>

#include "layer/attributes.h"
#include "layer/stack.h"

namespace layer {
namespace {

constexpr const char* kFolderStep = "mend folder";
constexpr const char* kLinkStep = "mend link";

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// Times are not compared: those of a folder without an entry are of no meaning anyway, and would cost a fix for nearly
// every such layer.
bool same(const Attributes& a, const Attributes& b) {
  return a.status.st_mode == b.status.st_mode && a.status.st_uid == b.status.st_uid &&
         a.status.st_gid == b.status.st_gid && a.xattrs == b.xattrs;
}

class Mender {
 public:
  Mender(const MendRequest& request, const Stack& stack, int out)
      : request_(request), stack_(stack), out_(out), implicit_(request.implicit.begin(), request.implicit.end()) {}

  sys::Result<uint64_t> run() {
    for (const std::string& path : request_.implicit) SYS_TRY(mend_implicit(path));
    std::set<std::string> folders;
    for (const std::string& path : request_.whiteouts) folders.insert(parent_of(path));
    for (const std::string& path : folders) SYS_TRY(mend_whiteouts(path));
    for (const LowerLink& link : request_.lower_links) SYS_TRY(mend_link(link));
    SYS_TRY(set_times());
    return made_;
  }

 private:
  sys::Result<void> mend_implicit(const std::string& path) {
    auto parts = stack_.folder(path);
    if (!parts) return parts.take_failure();
    if (parts->empty() || parts->front().layer != 0) return {};
    auto below = folder_below(path);
    if (!below) return below.take_failure();
    if (below->empty()) return {};
    auto own = attributes_of(parts->front().fd->get(), kFolderStep, path);
    if (!own) return own.take_failure();
    auto lower = attributes_of(below->front().fd->get(), kFolderStep, path);
    if (!lower) return lower.take_failure();
    return same(*own, *lower) ? sys::Result<void>() : drop(ensure(path));
  }

  // What the layers below show as this folder, hidden by this layer's or not: an opaque marker empties a folder and
  // leaves it the same one. Nothing where a folder on the way hides them.
  sys::Result<Parts> folder_below(const std::string& path) {
    auto parts = stack_.folder(path == "." ? path : parent_of(path));
    if (!parts) return parts.take_failure();
    if (!parts->empty() && parts->front().layer == 0) parts->erase(parts->begin());
    if (path == ".") return parts;
    auto entry = Stack::look_up(*parts, name_of(path));
    if (!entry) return entry.take_failure();
    return std::move(entry->folder);
  }

  // overlayfs hides whiteouts where it merges; a folder of one layer alone is read as it is, and shows them as broken
  // entries.
  sys::Result<void> mend_whiteouts(const std::string& path) {
    auto parts = stack_.folder(path);
    if (!parts) return parts.take_failure();
    const bool alone = parts->size() == 1 && parts->front().layer == 0;
    return alone && path != "." ? drop(ensure(path)) : sys::Result<void>();
  }

  sys::Result<void> mend_link(const LowerLink& link) {
    // The target may be another of these links.
    const auto earlier = targets_.find(link.target);
    const std::string& target = earlier == targets_.end() ? link.target : earlier->second;
    auto source = stack_.node(target);
    if (!source) return source.take_failure();
    // The layer itself hides the name: a whiteout takes the lower name away, not the file that was linked to.
    if (!source->parent) source = stack_.below_top().node(target);
    if (!source) return source.take_failure();
    if (!source->parent) {
      sys::Error error = sys::error(kLinkStep, "it is a hardlink to " + link.target + ", which no layer has", ENOENT);
      error.path = link.path;
      return error;
    }
    auto folder = ensure(parent_of(link.path));
    if (!folder) return folder.take_failure();
    if (linkat(source->parent->get(), source->name.c_str(), folder->get(), name_of(link.path).c_str(), 0) != 0 &&
        errno != EEXIST) {
      return sys::errno_error(kLinkStep, link.path);
    }
    targets_.emplace(link.path, target);
    made_++;
    return {};
  }

  // The folder is in the fix layer, and all on the way to it, each as the chain should show it.
  sys::Result<sys::Fd> ensure(const std::string& path) {
    if (path == ".") {
      sys::Fd fd(openat(out_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!fd) return sys::errno_error(kFolderStep, path);
      if (!folders_.contains(path)) SYS_TRY(dress(fd.get(), path));
      return fd;
    }
    auto parent = ensure(parent_of(path));
    if (!parent) return parent.take_failure();
    const std::string name = name_of(path);
    if (mkdirat(parent->get(), name.c_str(), 0700) != 0 && errno != EEXIST) return sys::errno_error(kFolderStep, path);
    sys::Fd fd(openat(parent->get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return sys::errno_error(kFolderStep, path);
    if (!folders_.contains(path)) SYS_TRY(dress(fd.get(), path));
    return fd;
  }

  sys::Result<void> dress(int fd, const std::string& path) {
    auto parts = stack_.folder(path);
    if (!parts) return parts.take_failure();
    if (parts->empty()) return sys::errno_error(kFolderStep, path, ENOENT);
    // An entry of its own says what a folder is like; without one the layer below does, where there is one.
    if (implicit_.contains(path) && parts->front().layer == 0) {
      auto below = folder_below(path);
      if (!below) return below.take_failure();
      if (!below->empty()) parts = std::move(below);
    }
    auto attributes = attributes_of(parts->front().fd->get(), kFolderStep, path);
    if (!attributes) return attributes.take_failure();
    SYS_TRY(give(fd, *attributes, kFolderStep, path));
    folders_[path] = attributes->status;
    made_++;
    return {};
  }

  // Last, since everything made in a folder changes its times.
  sys::Result<void> set_times() {
    for (const auto& [path, status] : folders_) {
      const timespec times[2] = {status.st_atim, status.st_mtim};
      if (utimensat(out_, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return sys::errno_error(kFolderStep, path);
    }
    return {};
  }

  static sys::Result<void> drop(sys::Result<sys::Fd> result) {
    return result ? sys::Result<void>() : sys::Result<void>(result.take_failure());
  }

  const MendRequest& request_;
  const Stack& stack_;
  int out_;
  std::set<std::string> implicit_;
  std::map<std::string, struct stat> folders_;  // made so far
  std::map<std::string, std::string> targets_;  // of the links made so far
  uint64_t made_ = 0;
};

}  // namespace

sys::Result<uint64_t> mend(const MendRequest& request) {
  if (request.layers.empty()) return sys::error(kFolderStep, "no layer was named", EINVAL);
  auto stack = Stack::open(request.layers);
  if (!stack) return stack.take_failure();
  const sys::Fd out(open(request.out_dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!out) return sys::errno_error(kFolderStep, request.out_dir);
  auto made = Mender(request, *stack, out.get()).run();
  if (made && *made > 0 && syncfs(out.get()) != 0) return sys::errno_error("sync", request.out_dir);
  return made;
}

}  // namespace layer
