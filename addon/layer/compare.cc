#include "layer/compare.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>

#include "sys/fd.h"
#include "sys/folder.h"

namespace layer {
namespace {

constexpr const char* kStep = "compare";
constexpr size_t kMaxTold = 16;
constexpr size_t kBufferSize = 256UL * 1024;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// Not blocked by a fifo that took a file's place.
constexpr int kFileFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

using Xattrs = std::map<std::string, std::string>;

// Null when they can't be read.
std::optional<Xattrs> xattrs_of(int fd) {
  Xattrs found;
  // Most files have none, and the buffers are large.
  ssize_t length = flistxattr(fd, nullptr, 0);
  if (length == 0 || (length < 0 && errno == ENOTSUP)) return found;
  std::string names(XATTR_LIST_MAX, '\0');
  length = flistxattr(fd, names.data(), names.size());
  if (length < 0) return {};
  names.resize(static_cast<size_t>(length));
  std::string value(XATTR_SIZE_MAX, '\0');
  for (size_t at = 0; at < names.size(); at = names.find('\0', at) + 1) {
    const std::string name(names.c_str() + at);
    const ssize_t size = fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (size < 0) return {};
    found[name] = value.substr(0, static_cast<size_t>(size));
  }
  return found;
}

std::optional<std::string> link_target(int parent, const std::string& name) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = readlinkat(parent, name.c_str(), target.data(), target.size());
  if (length < 0) return {};
  return std::string(target.data(), static_cast<size_t>(length));
}

bool same_time(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

// How many bytes came, fewer than asked for only at the end; -1 with errno.
ssize_t read_full(int fd, char* to, size_t size) {
  size_t have = 0;
  while (have < size) {
    const ssize_t got = read(fd, to + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(have);
}

class Comparer {
 public:
  explicit Comparer(const CompareRequest& request)
      : request_(request),
        left_buffer_(std::make_unique<char[]>(kBufferSize)),
        right_buffer_(std::make_unique<char[]>(kBufferSize)) {}

  sys::Result<CompareResult> run() {
    const sys::Fd left(open(request_.left.c_str(), kFolderFlags));
    if (!left && errno == ENOENT) {
      tell(".", "is missing");
      return std::move(result_);
    }
    if (!left) return sys::errno_error(kStep, request_.left);
    const sys::Fd right(open(request_.right.c_str(), kFolderFlags));
    if (!right) return sys::errno_error(kStep, request_.right);
    struct stat a {};
    struct stat b {};
    if (fstat(left.get(), &a) != 0 || fstat(right.get(), &b) != 0) return sys::errno_error(kStep, request_.left);
    attributes(".", a, b);
    xattrs(".", left.get(), right.get());
    folder("", left.get(), right.get());
    return std::move(result_);
  }

 private:
  void tell(const std::string& path, const char* what) {
    if (result_.count++ < kMaxTold) result_.first.push_back({path, what});
  }

  // `prefix`: empty, or ends in a slash.
  void folder(const std::string& prefix, int left, int right) {
    const auto ours = sys::folder_names(left, kStep);
    const auto theirs = sys::folder_names(right, kStep);
    if (!ours || !theirs) return tell(prefix.empty() ? "." : prefix, "can't be read");
    size_t a = 0;
    size_t b = 0;
    while (a < ours->size() || b < theirs->size()) {
      const int order = a == ours->size() ? 1 : b == theirs->size() ? -1 : ours->at(a).compare(theirs->at(b));
      const std::string& name = order <= 0 ? ours->at(a) : theirs->at(b);
      if (order == 0) {
        entry(prefix + name, left, right, name);
      } else {
        tell(prefix + name, order < 0 ? "is not of the layer" : "is missing");
      }
      if (order <= 0) a++;
      if (order >= 0) b++;
    }
  }

  void entry(const std::string& path, int left, int right, const std::string& name) {
    struct stat a {};
    struct stat b {};
    if (fstatat(left, name.c_str(), &a, AT_SYMLINK_NOFOLLOW) != 0 ||
        fstatat(right, name.c_str(), &b, AT_SYMLINK_NOFOLLOW) != 0) {
      return tell(path, "can't be read");
    }
    if ((a.st_mode & S_IFMT) != (b.st_mode & S_IFMT)) return tell(path, "is of another kind");
    attributes(path, a, b);
    if (S_ISLNK(a.st_mode)) {
      const auto target = link_target(left, name);
      if (!target || target != link_target(right, name)) tell(path, "target");
    } else if (S_ISDIR(a.st_mode) || S_ISREG(a.st_mode)) {
      opened(path, left, right, name, a, b);
    }
    if (!S_ISDIR(a.st_mode)) names_of_one(path, a, b);
  }

  void attributes(const std::string& path, const struct stat& a, const struct stat& b) {
    if (a.st_mode != b.st_mode) tell(path, "mode");
    if (a.st_uid != b.st_uid || a.st_gid != b.st_gid) tell(path, "owner");
    if ((S_ISCHR(a.st_mode) || S_ISBLK(a.st_mode)) && a.st_rdev != b.st_rdev) tell(path, "device number");
    const bool timeless = request_.timeless.contains(path) || (S_ISDIR(a.st_mode) && !request_.folder_times);
    if (!timeless && !same_time(a.st_mtim, b.st_mtim)) tell(path, "time");
  }

  void opened(const std::string& path, int left, int right, const std::string& name, const struct stat& a,
              const struct stat& b) {
    const bool is_folder = S_ISDIR(a.st_mode);
    const sys::Fd ours(openat(left, name.c_str(), is_folder ? kFolderFlags : kFileFlags));
    const int why = errno;
    const sys::Fd theirs(openat(right, name.c_str(), is_folder ? kFolderFlags : kFileFlags));
    // Without privilege its owner may be shut out of it, in both.
    if (!ours && !theirs && why == EACCES && errno == EACCES) return;
    if (!ours || !theirs) return tell(path, "can't be read");
    xattrs(path, ours.get(), theirs.get());
    if (is_folder) return folder(path + "/", ours.get(), theirs.get());
    if (a.st_ino == b.st_ino && a.st_dev == b.st_dev) return;
    if (a.st_size != b.st_size) return tell(path, "size");
    content(path, ours.get(), theirs.get());
  }

  void xattrs(const std::string& path, int left, int right) {
    const auto ours = xattrs_of(left);
    if (!ours || ours != xattrs_of(right)) tell(path, "extended attributes");
  }

  void content(const std::string& path, int left, int right) {
    while (true) {
      const ssize_t ours = read_full(left, left_buffer_.get(), kBufferSize);
      const ssize_t theirs = read_full(right, right_buffer_.get(), kBufferSize);
      if (ours < 0 || theirs < 0) return tell(path, "can't be read");
      if (ours != theirs || !std::equal(left_buffer_.get(), left_buffer_.get() + ours, right_buffer_.get()))
        return tell(path, "content");
      if (ours == 0) return;
    }
  }

  // Two names of one file here are two names of one file there. A fix layer may add a name outside of both: then only
  // one of the numbers of links says that there are several.
  void names_of_one(const std::string& path, const struct stat& a, const struct stat& b) {
    if (a.st_nlink == 1 && b.st_nlink == 1) return;
    const auto [ours, fresh_ours] = to_right_.try_emplace(a.st_ino, b.st_ino);
    const auto [theirs, fresh_theirs] = to_left_.try_emplace(b.st_ino, a.st_ino);
    if (ours->second != b.st_ino || theirs->second != a.st_ino) tell(path, "hard links");
  }

  const CompareRequest& request_;
  std::unique_ptr<char[]> left_buffer_;
  std::unique_ptr<char[]> right_buffer_;
  std::map<ino_t, ino_t> to_right_;
  std::map<ino_t, ino_t> to_left_;
  CompareResult result_;
};

}  // namespace

sys::Result<CompareResult> compare(const CompareRequest& request) { return Comparer(request).run(); }

}  // namespace layer
