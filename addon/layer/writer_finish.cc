// What the writer does when all entries are in the tree.
#include <fcntl.h>
#include <sys/xattr.h>

#include <algorithm>

#include "layer/name.h"
#include "layer/writer.h"
#include "layer/xattrs.h"

namespace layer {
namespace {

constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr uint32_t kImplicitMode = 0755;

sys::Error failed(const char* what, const Folder& folder) {
  sys::Error failure = sys::error("extract", what, errno);
  failure.path = folder.path.empty() ? "." : printable(folder.path);
  return failure;
}

size_t depth_of(const std::string& path) {
  return path.empty() ? 0 : 1 + static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
}

}  // namespace

sys::Result<Report> Writer::finish() {
  Report report;
  auto lower_links = hardlinks_.finish();
  if (!lower_links) return lower_links.take_failure();
  report.lower_links = std::move(*lower_links);
  auto whiteouts = whiteouts_.apply();
  if (!whiteouts) return whiteouts.take_failure();
  report.whiteouts = std::move(*whiteouts);
  SYS_TRY(finish_folders());
  for (const auto& [inode, folder] : tree_.folders()) {
    if (folder.implicit) report.implicit.push_back(folder.path.empty() ? "." : folder.path);
  }
  std::sort(report.implicit.begin(), report.implicit.end());
  report.warnings = warnings_.take();
  report.skipped_devices = skipped_devices_;
  return report;
}

// Deepest first: setting anything in a folder changes its parent's times, and taking away the right to enter it would
// hide the rest.
sys::Result<void> Writer::finish_folders() {
  struct Item {
    size_t depth;
    ino_t inode;
    const Folder* folder;
  };
  std::vector<Item> items;
  for (const auto& [inode, folder] : tree_.folders()) items.push_back({depth_of(folder.path), inode, &folder});
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.depth != b.depth ? a.depth > b.depth : a.folder->path < b.folder->path;
  });
  for (const Item& item : items) SYS_TRY(finish_folder(item.inode, *item.folder));
  return {};
}

sys::Result<void> Writer::finish_folder(ino_t inode, const Folder& folder) {
  const bool is_root = folder.path.empty();
  const bool attributes =
      folder.opaque || folder.marked_whiteouts || folder.default_acl || folder.mode || (is_root && folder.implicit);
  if (!attributes && !folder.modified) return {};
  sys::Fd fd;
  if (is_root) {
    fd.reset(openat(tree_.root(), ".", kOpenFolder));
  } else {
    auto parent = tree_.find_folder(parent_of(folder.path));
    if (!parent) return parent.take_failure();
    fd.reset(openat((*parent)->get(), std::string(base_of(folder.path)).c_str(), kOpenFolder));
  }
  struct stat status = {};
  if (!fd || fstat(fd.get(), &status) != 0) return failed("open", folder);
  // Somebody else moves things in here.
  if (status.st_ino != inode) return sys::errno_error("extract", printable(folder.path), EXDEV);
  if (is_root && folder.implicit) {
    // The caller made it, for itself alone.
    if (tree_.chown_failed(fchown(fd.get(), 0, 0)) || fchmod(fd.get(), kImplicitMode) != 0)
      return failed("chmod", folder);
  }
  SYS_TRY(whiteouts_.mark_folder(fd.get(), folder));
  if (folder.default_acl &&
      fsetxattr(fd.get(), kDefaultAcl, folder.default_acl->data(), folder.default_acl->size(), 0) != 0) {
    if (errno != EOPNOTSUPP && errno != EINVAL && errno != EPERM) return failed("set the default ACL", folder);
    warnings_.add(std::string("attribute ") + kDefaultAcl + " left out, of " + printable(folder.path));
  }
  if (folder.mode && fchmod(fd.get(), *folder.mode) != 0) return failed("chmod", folder);
  if (folder.modified && futimens(fd.get(), times_of(folder.accessed, *folder.modified).both) != 0)
    return failed("set times", folder);
  return {};
}

}  // namespace layer
