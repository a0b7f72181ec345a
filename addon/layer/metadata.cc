#include "layer/metadata.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "layer/name.h"
#include "layer/xattrs.h"

namespace layer {
namespace {

constexpr size_t kMaxWarnings = 16;
// 2262-04-11: nanoseconds since 1970 in 64 bits end there, and with them what many programs can read.
constexpr int64_t kMaxSeconds = 9'223'372'036;

#ifndef SYS_fchmodat2
constexpr long kFchmodat2 = 452;  // Linux 6.6, one number on all architectures
#else
constexpr long kFchmodat2 = SYS_fchmodat2;
#endif

timespec bounded(const Time& time) {
  if (time.seconds < 0 || time.seconds >= kMaxSeconds) return {0, 0};
  return {static_cast<time_t>(time.seconds), static_cast<long>(time.nanoseconds)};
}

sys::Error failed(const char* what) { return sys::error("extract", what, errno); }

// setxattrat(2) is new in Linux 6.13, and descriptors of links refuse fsetxattr: so by name, from within the folder,
// whose path has one component and no link to follow.
class WorkingFolder {
 public:
  explicit WorkingFolder(int folder) : former_(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    ok_ = former_ && fchdir(folder) == 0;
  }
  ~WorkingFolder() {
    if (ok_ && fchdir(former_.get()) != 0) abort();  // another folder than expected is worse than the end
  }
  WorkingFolder(const WorkingFolder&) = delete;
  WorkingFolder& operator=(const WorkingFolder&) = delete;
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  sys::Fd former_;
  bool ok_;
};

}  // namespace

void Warnings::add(std::string text) {
  if (texts_.size() < kMaxWarnings && std::find(texts_.begin(), texts_.end(), text) == texts_.end())
    texts_.push_back(std::move(text));
}

Times times_of(const std::optional<Time>& accessed, const Time& modified) {
  const timespec modification = bounded(modified);
  timespec access = accessed ? bounded(*accessed) : modification;
  if (access.tv_sec < modification.tv_sec) access = modification;
  return {{access, modification}};
}

sys::Result<void> Metadata::check_xattr(int result, const Xattr& xattr, const Entry& entry) {
  if (result == 0) return {};
  // EOPNOTSUPP: not on this file system. EPERM: user.* on a link or node, or a capability without the right to give it.
  // EINVAL: an ACL that names ids with no mapping here. Engines go on without them, and so do we, aloud.
  if (errno == EOPNOTSUPP || errno == EPERM || (errno == EINVAL && xattr.name.starts_with("system."))) {
    warnings_.add("attribute " + printable(xattr.name) + " left out, of " + printable(entry.name));
    return {};
  }
  return sys::error("extract", "attribute " + printable(xattr.name) + " can't be set", errno);
}

sys::Result<void> Metadata::finish_file(int fd, const Entry& entry) {
  if (tree_.chown_failed(fchown(fd, entry.uid, entry.gid))) return failed("chown");
  for (const Xattr& xattr : entry.xattrs) {
    if (!belongs_to_image(xattr.name)) continue;
    SYS_TRY(check_xattr(fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0), xattr, entry));
  }
  if (fchmod(fd, entry.mode) != 0) return failed("chmod");
  if (futimens(fd, times_of(entry.accessed, entry.modified).both) != 0) return failed("set times");
  return {};
}

sys::Result<void> Metadata::start_folder(int fd, const Entry& entry, std::optional<uint32_t> mode,
                                         std::optional<std::string>& default_acl) {
  if (tree_.chown_failed(fchown(fd, entry.uid, entry.gid))) return failed("chown");
  for (const Xattr& xattr : entry.xattrs) {
    if (!belongs_to_image(xattr.name)) continue;
    if (xattr.name == kDefaultAcl) {
      default_acl = xattr.value;
      continue;
    }
    SYS_TRY(check_xattr(fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0), xattr, entry));
  }
  if (mode && fchmod(fd, *mode) != 0) return failed("chmod");
  return {};
}

sys::Result<void> Metadata::finish_node(int parent, const std::string& name, const Entry& entry) {
  if (tree_.chown_failed(fchownat(parent, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW)))
    return failed("chown");
  if (std::any_of(entry.xattrs.begin(), entry.xattrs.end(),
                  [](const Xattr& xattr) { return belongs_to_image(xattr.name); })) {
    const WorkingFolder here(parent);
    if (!here.ok()) return failed("chdir");
    for (const Xattr& xattr : entry.xattrs) {
      if (!belongs_to_image(xattr.name)) continue;
      const std::string local = "./" + name;
      SYS_TRY(check_xattr(lsetxattr(local.c_str(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0),
                          xattr, entry));
    }
  }
  if (entry.type != EntryType::kSymlink) {
    // mknodat gave the mode under a clear umask; chown may have taken bits of it. Kernels before 6.6 can't repair that
    // without following links.
    if (syscall(kFchmodat2, parent, name.c_str(), entry.mode, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOSYS)
      return failed("chmod");
  }
  const Times times = times_of(entry.accessed, entry.modified);
  if (utimensat(parent, name.c_str(), times.both, AT_SYMLINK_NOFOLLOW) != 0) return failed("set times");
  return {};
}

sys::Result<void> Metadata::clear_xattrs(int fd) {
  const ssize_t size = flistxattr(fd, nullptr, 0);
  if (size <= 0) return {};
  std::string names(static_cast<size_t>(size), '\0');
  const ssize_t filled = flistxattr(fd, names.data(), names.size());
  if (filled < 0) return failed("list attributes");
  names.resize(static_cast<size_t>(filled));
  for (size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (belongs_to_image(name) && fremovexattr(fd, name.c_str()) != 0 && errno != ENODATA)
      return failed("remove attribute");
  }
  return {};
}

}  // namespace layer
