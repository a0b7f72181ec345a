#include "jail/copy_up.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "sys/copy.h"
#include "sys/kernel.h"

namespace jail {
namespace {

// Each level holds descriptors open; no volume of a real image is this deep.
constexpr int kMaxDepth = 200;

sys::Error copy_error(const std::string& path, int err = errno) { return sys::errno_error("copy", path, err); }

// A folder's entries without "." and "..". `visit` returns a Result<void>; the first failure ends it.
template <class Visit>
sys::Result<void> each_entry(int folder, const std::string& path, Visit visit) {
  sys::Fd fd(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return copy_error(path);
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return copy_error(path);
  (void)fd.release();
  sys::Result<void> result;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) result = visit(entry->d_name);
    if (!result) break;
    errno = 0;
  }
  if (result && errno != 0) result = copy_error(path);
  closedir(stream);
  return result;
}

sys::Result<bool> is_empty(int folder) {
  bool empty = true;
  SYS_TRY(each_entry(folder, ".", [&](const char*) -> sys::Result<void> {
    empty = false;
    return {};
  }));
  return empty;
}

// Attributes that this file system or this user namespace cannot hold are left out, as cp -a does.
bool is_tolerable(int err) { return err == ENOTSUP || err == EPERM || err == ENODATA || err == EINVAL; }

sys::Result<void> copy_xattrs(int from, int to, const std::string& path) {
  std::string names(XATTR_LIST_MAX, '\0');
  const ssize_t size = flistxattr(from, names.data(), names.size());
  if (size < 0) {
    if (is_tolerable(errno)) return {};
    return copy_error(path);
  }
  std::string value;
  for (const char* name = names.data(); name < names.data() + size; name += strlen(name) + 1) {
    if (strncmp(name, "trusted.overlay.", 16) == 0 || strncmp(name, "user.overlay.", 13) == 0) continue;
    value.resize(XATTR_SIZE_MAX);
    const ssize_t n = fgetxattr(from, name, value.data(), value.size());
    if (n >= 0 && fsetxattr(to, name, value.data(), static_cast<size_t>(n), 0) == 0) continue;
    if (!is_tolerable(errno)) return copy_error(path);
  }
  return {};
}

// Owner first: changing it clears set-id bits and file capabilities. Times last: everything else changes them.
sys::Result<void> copy_metadata(int from, int to, const struct stat& info, const std::string& path) {
  // EINVAL: the owner has no number in this user namespace.
  if (fchown(to, info.st_uid, info.st_gid) != 0 && errno != EINVAL) return copy_error(path);
  SYS_TRY(copy_xattrs(from, to, path));
  if (fchmod(to, info.st_mode & 07777) != 0) return copy_error(path);
  const timespec times[2] = {info.st_atim, info.st_mtim};
  if (futimens(to, times) != 0) return copy_error(path);
  return {};
}

class Copier {
 public:
  explicit Copier(int volume) : volume_(volume) {}

  sys::Result<void> folder(int from, int to, const std::string& path, int depth) {
    if (depth > kMaxDepth) return copy_error(path, ENAMETOOLONG);
    return each_entry(from, path, [&](const char* name) { return entry(from, to, name, path + name, depth); });
  }

 private:
  sys::Result<void> entry(int from, int to, const char* name, const std::string& path, int depth) {
    struct stat info {};
    if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return copy_error(path);
    if (S_ISDIR(info.st_mode)) return subfolder(from, to, name, path, depth);
    if (info.st_nlink > 1) {
      auto linked = hard_link(to, name, info, path);
      if (!linked) return linked.take_failure();
      if (*linked) return {};
    }
    if (S_ISREG(info.st_mode)) return file(from, to, name, path);
    if (S_ISLNK(info.st_mode)) return symbolic_link(from, to, name, info, path);
    return special(to, name, info, path);
  }

  sys::Result<void> subfolder(int from, int to, const char* name, const std::string& path, int depth) {
    constexpr uint64_t kSameMount = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    const sys::Fd source(sys::openat2(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, kSameMount));
    if (!source) {
      if (errno == EXDEV) return {};
      return copy_error(path);
    }
    if (mkdirat(to, name, 0700) != 0) return copy_error(path);
    const sys::Fd copy(openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!copy) return copy_error(path);
    struct stat info {};
    if (fstat(source.get(), &info) != 0) return copy_error(path);
    SYS_TRY(folder(source.get(), copy.get(), path + "/", depth + 1));
    return copy_metadata(source.get(), copy.get(), info, path);
  }

  static sys::Result<void> file(int from, int to, const char* name, const std::string& path) {
    const sys::Fd source(openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!source) return copy_error(path);
    struct stat info {};
    if (fstat(source.get(), &info) != 0) return copy_error(path);
    if (!S_ISREG(info.st_mode)) return copy_error(path, EBADF);
    const sys::Fd copy(openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!copy) return copy_error(path);
    auto copied = sys::copy_content(source.get(), copy.get());
    if (!copied) return copy_error(path, copied.failure().err);
    return copy_metadata(source.get(), copy.get(), info, path);
  }

  // A further name of a file that was copied already. The first copy is reached by a lookup that cannot leave the
  // volume, and linked by descriptor: somebody else may have the volume mounted and swap its folders meanwhile.
  sys::Result<bool> hard_link(int to, const char* name, const struct stat& info, const std::string& path) {
    const auto [first, is_new] = links_.emplace(std::pair(info.st_dev, info.st_ino), path);
    if (is_new) return false;
    const sys::Fd copy(sys::openat2(volume_, first->second.c_str(), O_PATH | O_NOFOLLOW,
                                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV));
    if (!copy) return copy_error(path);
    const std::string source = "/proc/self/fd/" + std::to_string(copy.get());
    if (linkat(AT_FDCWD, source.c_str(), to, name, AT_SYMLINK_FOLLOW) != 0) return copy_error(path);
    return true;
  }

  static sys::Result<void> symbolic_link(int from, int to, const char* name, const struct stat& info,
                                         const std::string& path) {
    char target[PATH_MAX + 1];
    const ssize_t n = readlinkat(from, name, target, PATH_MAX);
    if (n < 0) return copy_error(path);
    target[n] = '\0';
    if (symlinkat(target, to, name) != 0) return copy_error(path);
    return finish_by_name(to, name, info, path);
  }

  static sys::Result<void> special(int to, const char* name, const struct stat& info, const std::string& path) {
    if (mknodat(to, name, info.st_mode, info.st_rdev) != 0) {
      // A user namespace may not have device nodes: left out, as the layer's unpacking left them out.
      if (errno == EPERM && (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))) return {};
      return copy_error(path);
    }
    return finish_by_name(to, name, info, path);
  }

  static sys::Result<void> finish_by_name(int to, const char* name, const struct stat& info, const std::string& path) {
    if (fchownat(to, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0 && errno != EINVAL)
      return copy_error(path);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    if (utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) != 0) return copy_error(path);
    return {};
  }

  int volume_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

sys::Result<void> copy_up(int image, int volume) {
  struct stat info {};
  struct stat volume_info {};
  if (fstat(image, &info) != 0 || fstat(volume, &volume_info) != 0) return copy_error(".");
  if (!S_ISDIR(info.st_mode) || !S_ISDIR(volume_info.st_mode)) return {};
  const sys::Fd to(openat(volume, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const sys::Fd from(openat(image, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!to || !from) return copy_error(".");
  auto empty = is_empty(to.get());
  if (!empty) return empty.take_failure();
  if (!*empty) return {};
  Copier copier(to.get());
  SYS_TRY(copier.folder(from.get(), to.get(), "", 0));
  return copy_metadata(from.get(), to.get(), info, ".");
}

sys::Result<void> copy_attributes(int from, int to) {
  struct stat info {};
  if (fstat(from, &info) != 0) return copy_error(".");
  return copy_metadata(from, to, info, ".");
}

}  // namespace jail
