#include "layer/squash.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <map>

#include "layer/attributes.h"
#include "layer/stack.h"
#include "sys/copy.h"

namespace layer {
namespace {

constexpr const char* kStep = "squash";
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr int kAnyFlags = O_PATH | O_NOFOLLOW | O_CLOEXEC;

sys::Error failed(const std::string& path, int err = errno) { return sys::errno_error(kStep, path, err); }

class Squasher {
 public:
  Squasher(const Stack& stack, int out) : stack_(stack), out_(out) {}

  // Whatever the depth, descriptors are held for one merged folder and for the way to its copy: the merged folder is
  // looked up anew for each.
  sys::Result<void> folder(int to, const std::string& path) {
    std::vector<std::string> subfolders;
    Attributes attributes;
    {
      auto parts = stack_.folder(path);
      if (!parts) return parts.take_failure();
      if (parts->empty()) return failed(path, ENOENT);
      auto found = attributes_of(parts->front().fd->get(), kStep, path);
      if (!found) return found.take_failure();
      attributes = std::move(*found);
      auto others = files_of(*parts, to, path, subfolders);
      if (!others) return others;
    }
    for (const std::string& name : subfolders) SYS_TRY(subfolder(to, name, join(path, name)));
    made_++;
    SYS_TRY(give(to, attributes, kStep, path));
    return give_times(to, attributes, kStep, path);
  }

  [[nodiscard]] uint64_t made() const { return made_; }

 private:
  static std::string join(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "/" + name;
  }

  // All that is no folder is made; the names of folders are told.
  sys::Result<void> files_of(const Parts& parts, int to, const std::string& path,
                             std::vector<std::string>& subfolders) {
    auto names = Stack::names_in(parts);
    if (!names) return names.take_failure();
    for (const std::string& name : *names) {
      auto entry = Stack::look_up(parts, name);
      if (!entry) return entry.take_failure();
      if (!entry->folder.empty()) {
        subfolders.push_back(name);
      } else if (entry->other.parent) {
        SYS_TRY(file(entry->other.parent->get(), to, name, join(path, name)));
      }
    }
    return {};
  }

  sys::Result<void> subfolder(int to, const std::string& name, const std::string& path) {
    if (mkdirat(to, name.c_str(), 0700) != 0) return failed(path);
    const sys::Fd fd(openat(to, name.c_str(), kFolderFlags));
    if (!fd) return failed(path);
    return folder(fd.get(), path);
  }

  sys::Result<void> file(int from, int to, const std::string& name, const std::string& path) {
    const sys::Fd source(openat(from, name.c_str(), kAnyFlags));
    if (!source) return failed(path);
    auto attributes = attributes_of(source.get(), kStep, path);
    if (!attributes) return attributes.take_failure();
    const struct stat& status = attributes->status;
    if (status.st_nlink > 1) {
      const auto [first, is_new] = names_.emplace(std::pair(status.st_dev, status.st_ino), path);
      if (!is_new) return link(first->second, to, name, path);
    }
    sys::Result<void> content;
    if (S_ISREG(status.st_mode)) {
      content = copy(source.get(), to, name, path);
    } else if (S_ISLNK(status.st_mode)) {
      content = copy_link(source.get(), to, name, path);
    } else if (mknodat(to, name.c_str(), status.st_mode, status.st_rdev) != 0) {
      content = failed(path);
    }
    if (!content) return content;
    const sys::Fd made(openat(to, name.c_str(), kAnyFlags));
    if (!made) return failed(path);
    made_++;
    SYS_TRY(give(made.get(), *attributes, kStep, path));
    return give_times(made.get(), *attributes, kStep, path);
  }

  static sys::Result<void> copy(int source, int to, const std::string& name, const std::string& path) {
    const std::string readable = "/proc/self/fd/" + std::to_string(source);
    const sys::Fd from(open(readable.c_str(), O_RDONLY | O_CLOEXEC));
    if (!from) return failed(path);
    const sys::Fd made(openat(to, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!made) return failed(path);
    auto copied = sys::copy_content(from.get(), made.get());
    if (!copied) return failed(path, copied.failure().err);
    return {};
  }

  static sys::Result<void> copy_link(int source, int to, const std::string& name, const std::string& path) {
    std::array<char, PATH_MAX> target{};
    const ssize_t length = readlinkat(source, "", target.data(), target.size() - 1);
    if (length < 0 || symlinkat(target.data(), to, name.c_str()) != 0) return failed(path);
    return {};
  }

  // The first copy is reached name by name: the whole may be longer than PATH_MAX.
  sys::Result<void> link(const std::string& first, int to, const std::string& name, const std::string& path) {
    sys::Fd folder(openat(out_, ".", kFolderFlags));
    size_t start = 0;
    for (size_t slash = first.find('/'); slash != std::string::npos; slash = first.find('/', start)) {
      folder.reset(openat(folder.get(), first.substr(start, slash - start).c_str(), kFolderFlags));
      if (!folder) return failed(path);
      start = slash + 1;
    }
    if (linkat(folder.get(), first.c_str() + start, to, name.c_str(), 0) != 0) return failed(path);
    made_++;
    return {};
  }

  const Stack& stack_;
  const int out_;
  std::map<std::pair<dev_t, ino_t>, std::string> names_;  // where files with several names were made first
  uint64_t made_ = 0;
};

}  // namespace

sys::Result<uint64_t> squash(const SquashRequest& request) {
  umask(0);
  auto stack = Stack::open(request.layers);
  if (!stack) return stack.take_failure();
  const sys::Fd out(open(request.out_dir.c_str(), kFolderFlags));
  if (!out) return failed(request.out_dir);
  Squasher squasher(*stack, out.get());
  SYS_TRY(squasher.folder(out.get(), ""));
  if (syncfs(out.get()) != 0) return failed(request.out_dir);
  return squasher.made();
}

}  // namespace layer
