#include "jail/target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <vector>

#include "sys/kernel.h"

namespace jail {
namespace {

// As the kernel's own limit of nested links (path_resolution(7)).
constexpr int kMaxLinks = 40;

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else {
      parts.emplace_back(part);
    }
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts, size_t count) {
  std::string path;
  for (size_t i = 0; i < count; i++) {
    if (!path.empty()) path += '/';
    path += parts[i];
  }
  return path.empty() ? "." : path;
}

sys::Error target_error(std::string_view path, int err = errno) {
  return sys::errno_error("mount target", std::string(path), err);
}

// `name` in `parent` exists as a folder or, as the last part of a file's path, as a file. EEXIST is success: somebody
// else made it, or it is a dangling link, which the caller finds out by resolving again.
sys::Result<void> make_entry(int parent, const std::string& name, bool folder, std::string_view path) {
  if (folder) {
    if (mkdirat(parent, name.c_str(), 0755) != 0 && errno != EEXIST) return target_error(path);
    return {};
  }
  const sys::Fd made(openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!made && errno != EEXIST) return target_error(path);
  return {};
}

// The parts that `name` in `parent` leads to when it is a link, else false.
bool read_link(int parent, const std::string& name, std::string& content) {
  char buffer[PATH_MAX];
  const ssize_t n = readlinkat(parent, name.c_str(), buffer, sizeof buffer);
  if (n <= 0) return false;
  content.assign(buffer, static_cast<size_t>(n));
  return true;
}

sys::Result<void> check_kind(const sys::Fd& target, TargetKind kind, std::string_view path) {
  struct stat info {};
  if (fstat(target.get(), &info) != 0) return target_error(path);
  if (kind == TargetKind::kFolder && !S_ISDIR(info.st_mode)) return target_error(path, ENOTDIR);
  if (kind == TargetKind::kFile && S_ISDIR(info.st_mode)) return target_error(path, EISDIR);
  return {};
}

}  // namespace

std::string clean_path(std::string_view path) {
  const auto parts = split(path);
  return parts.empty() ? std::string() : join(parts, parts.size());
}

sys::Result<sys::Fd> make_target(int root, std::string_view path, TargetKind kind) {
  std::vector<std::string> parts = split(path);
  // Most targets exist: one call then.
  if (sys::Fd there(sys::openat2(root, join(parts, parts.size()).c_str(), O_PATH, sys::kInRoot)); there) {
    SYS_TRY(check_kind(there, kind, path));
    return there;
  }
  int links = 0;
  // Walks down part by part. After each creation the path is resolved anew from the root by the kernel, so a name that
  // was swapped meanwhile leads to another place inside the root or fails, but never out of it.
  for (size_t done = 0; done < parts.size();) {
    const std::string prefix = join(parts, done + 1);
    const bool folder = done + 1 < parts.size() || kind == TargetKind::kFolder;
    if (const sys::Fd there(sys::openat2(root, prefix.c_str(), O_PATH, sys::kInRoot)); there) {
      done++;
      continue;
    }
    if (errno != ENOENT) return target_error(path);
    auto parent = sys::open_in(root, join(parts, done).c_str(), O_PATH | O_DIRECTORY, sys::kInRoot);
    if (!parent) return target_error(path, parent.failure().err);

    std::string content;
    if (read_link(parent->get(), parts[done], content)) {
      if (++links > kMaxLinks) return target_error(path, ELOOP);
      // The link takes the place of its name; an absolute one starts at the root. ".." in it is applied to the names,
      // which is what the kernel would do unless a parent is a link itself; then the result is another place within the
      // root.
      std::string respelled = content[0] == '/' ? content : join(parts, done) + "/" + content;
      for (size_t i = done + 1; i < parts.size(); i++) respelled += "/" + parts[i];
      parts = split(respelled);
      done = 0;
      continue;
    }
    SYS_TRY(make_entry(parent->get(), parts[done], folder, path));
    const sys::Fd made(sys::openat2(root, prefix.c_str(), O_PATH, sys::kInRoot));
    if (!made) {
      // Removed or turned into a link again: counted, so that whoever does that cannot keep this loop alive.
      if (errno != ENOENT || ++links > kMaxLinks) return target_error(path);
      continue;
    }
    done++;
  }
  auto target = sys::open_in(root, join(parts, parts.size()).c_str(), O_PATH, sys::kInRoot);
  if (!target) return target_error(path, target.failure().err);
  SYS_TRY(check_kind(*target, kind, path));
  return target;
}

sys::Result<sys::Fd> make_plain_folder(int root, std::string_view path) {
  const std::vector<std::string> parts = split(path);
  constexpr uint64_t kPlain = sys::kInRoot | RESOLVE_NO_SYMLINKS;
  if (sys::Fd there(sys::openat2(root, join(parts, parts.size()).c_str(), O_PATH | O_DIRECTORY, kPlain)); there)
    return there;
  for (size_t done = 0; done < parts.size(); done++) {
    const std::string prefix = join(parts, done + 1);
    if (const sys::Fd there(sys::openat2(root, prefix.c_str(), O_PATH, kPlain)); there) continue;
    if (errno != ENOENT) return target_error(path);
    auto parent = sys::open_in(root, join(parts, done).c_str(), O_PATH | O_DIRECTORY, kPlain);
    if (!parent) return target_error(path, parent.failure().err);
    SYS_TRY(make_entry(parent->get(), parts[done], true, path));
  }
  auto target = sys::open_in(root, join(parts, parts.size()).c_str(), O_PATH | O_DIRECTORY, kPlain);
  if (!target) return target_error(path, target.failure().err);
  return target;
}

}  // namespace jail
