#include "layer/stack.h"

#include <fcntl.h>
#include <limits.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "layer/overlay_marks.h"
#include "sys/folder.h"

namespace layer {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr int kMaxLinks = 40;  // path_resolution(7)

// The first component of `rest`, which is shortened by it; empty at the end.
std::string next_name(std::string& rest) {
  const size_t start = rest.find_first_not_of('/');
  if (start == std::string::npos) {
    rest.clear();
    return {};
  }
  const size_t end = std::min(rest.find('/', start), rest.size());
  std::string name = rest.substr(start, end - start);
  rest.erase(0, end);
  return name;
}

sys::Result<std::string> read_link(int parent, const std::string& name) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = readlinkat(parent, name.c_str(), target.data(), target.size());
  if (length < 0) return sys::errno_error("mend link", name);
  return std::string(target.data(), static_cast<size_t>(length));
}

std::shared_ptr<const sys::Fd> shared(int fd) { return std::make_shared<const sys::Fd>(fd); }

}  // namespace

sys::Result<Stack> Stack::open(const std::vector<std::string>& layers) {
  Stack stack;
  for (const std::string& path : layers) {
    stack.roots_.push_back(shared(::open(path.c_str(), kFolderFlags)));
    if (!*stack.roots_.back()) return sys::errno_error("mend folder", path);
  }
  return stack;
}

Stack Stack::of(std::vector<sys::Fd> layers) {
  Stack stack;
  for (sys::Fd& layer : layers) stack.roots_.push_back(std::make_shared<const sys::Fd>(std::move(layer)));
  return stack;
}

sys::Result<std::set<std::string>> Stack::names_in(const Parts& folder) {
  std::set<std::string> names;
  for (const Part& part : folder) {
    auto found = sys::folder_names(part.fd->get(), "mend folder");
    if (!found) return found.take_failure();
    names.insert(found->begin(), found->end());
  }
  return names;
}

sys::Result<Stack::Entry> Stack::look_up(const Parts& folder, const std::string& name) {
  Entry entry;
  for (const Part& part : folder) {
    struct stat status {};
    if (fstatat(part.fd->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return sys::errno_error("mend folder", name);
    }
    if (is_whiteout(part.fd->get(), name, status)) break;
    if (!S_ISDIR(status.st_mode)) {
      if (entry.folder.empty()) {
        entry.other = {part.fd, name};
        entry.is_link = S_ISLNK(status.st_mode);
      }
      break;
    }
    auto fd = shared(openat(part.fd->get(), name.c_str(), kFolderFlags));
    if (!*fd) return sys::errno_error("mend folder", name);
    const bool opaque = has_overlay_mark(fd->get(), "opaque", 'y');
    entry.folder.push_back({part.layer, std::move(fd)});
    if (opaque) break;
  }
  return entry;
}

Stack Stack::over(const Stack& lower) const {
  Stack joined = *this;
  joined.roots_.insert(joined.roots_.end(), lower.roots_.begin(), lower.roots_.end());
  return joined;
}

Stack Stack::below_top() const {
  Stack below;
  below.roots_.assign(roots_.begin() + 1, roots_.end());
  return below;
}

Parts Stack::root() const {
  Parts parts;
  for (size_t layer = 0; layer < roots_.size(); layer++) parts.push_back({layer, roots_[layer]});
  return parts;
}

sys::Result<Parts> Stack::folder(std::string_view path) const {
  Parts parts = root();
  std::string rest(path);
  for (std::string name = next_name(rest); !name.empty() && !parts.empty(); name = next_name(rest)) {
    if (name == ".") continue;
    auto entry = look_up(parts, name);
    if (!entry) return entry.take_failure();
    parts = std::move(entry->folder);
  }
  return parts;
}

sys::Result<Stack::Node> Stack::node(std::string_view path) const {
  std::vector<Parts> way;  // the folders from the root to where we are: ".." goes back, at the root it stays
  way.push_back(root());
  std::string rest(path);
  int links = 0;
  for (;;) {
    const std::string name = next_name(rest);
    if (name.empty()) return Node{};
    if (name == ".") continue;
    if (name == "..") {
      if (way.size() > 1) way.pop_back();
      continue;
    }
    auto entry = look_up(way.back(), name);
    if (!entry) return entry.take_failure();
    const bool last = rest.find_first_not_of('/') == std::string::npos;
    if (!entry->folder.empty()) {
      if (last) return Node{};
      way.push_back(std::move(entry->folder));
    } else if (last || !entry->is_link) {
      return last ? std::move(entry->other) : Node{};
    } else {
      if (++links > kMaxLinks) return sys::errno_error("mend link", std::string(path), ELOOP);
      auto target = read_link(entry->other.parent->get(), name);
      if (!target) return target.take_failure();
      if (!target->empty() && target->front() == '/') way.resize(1);
      rest.insert(0, *target);
    }
  }
}

}  // namespace layer
