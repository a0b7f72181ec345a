#include "layer/diff.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "layer/name.h"
#include "layer/overlay_marks.h"
#include "layer/start_places.h"

namespace layer {
namespace {

constexpr const char* kStep = "read tree";
constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// What lower layers show under one name.
struct Below {
  Parts folder;
  Stack::Node other;
  struct stat status = {};

  [[nodiscard]] bool exists() const { return !folder.empty() || other.parent != nullptr; }
  [[nodiscard]] bool is_folder() const { return !folder.empty(); }
};

// What the container's own layers have under one name.
struct Here {
  Parts folder;                       // not empty: a folder
  std::shared_ptr<const sys::Fd> in;  // null: nothing that shows; else the folder that has the name
  bool closed = false;                // what lies under this name in the layers below doesn't show through
  bool changing = false;              // a folder that went, or became another thing, while it was looked at
  struct stat status = {};
};

bool same_owner_and_mode(const struct stat& a, const struct stat& b) {
  return a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid && a.st_rdev == b.st_rdev;
}

bool same_content(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

std::string capability(int parent, const std::string& name) {
  const sys::Fd fd(openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  std::array<char, 64> value{};
  const ssize_t size = fd ? fgetxattr(fd.get(), "security.capability", value.data(), value.size()) : -1;
  return size > 0 ? std::string(value.data(), static_cast<size_t>(size)) : std::string();
}

class Differ {
 public:
  Differ(ChangeSink& sink, size_t depth) : sink_(sink), depth_(depth) {}

  // `closed`: nothing of the lower folder shows through.
  sys::Result<void> folder(const Parts& own, const Parts& lower, bool closed);

 private:
  sys::Result<void> member(const Parts& own, const std::string& name, const Parts& lower, bool closed);
  sys::Result<void> subfolder(const Here& here, const Below& below);
  [[nodiscard]] sys::Result<Here> look_here(const Parts& own, const std::string& name) const;
  [[nodiscard]] sys::Result<Below> look_below(const Parts& lower, const std::string& name) const;
  sys::Result<void> tell(char kind);
  [[nodiscard]] bool is_place(const struct stat& status) const {
    return made_by_start(std::string_view(path_).substr(1), status);
  }
  [[nodiscard]] sys::Error failed(int err = errno) const { return sys::errno_error(kStep, printable(path_), err); }

  // A folder on the way to the entry in hand: how long its path is, and whether it has been told.
  struct Way {
    size_t length;
    bool told;
  };

  ChangeSink& sink_;
  const size_t depth_;
  std::string path_;  // of the entry in hand: "/a/b"
  std::vector<Way> way_;
};

// The folders above it are told first, which are modified by having it.
sys::Result<void> Differ::tell(char kind) {
  for (Way& way : way_) {
    if (way.told) continue;
    way.told = true;
    SYS_TRY(sink_.put('C', path_.substr(0, way.length)));
  }
  return sink_.put(kind, path_);
}

sys::Result<Below> Differ::look_below(const Parts& lower, const std::string& name) const {
  Below below;
  auto found = Stack::look_up(lower, name);
  if (!found) return failed(found.failure().err);
  below.folder = std::move(found->folder);
  if (below.is_folder()) {
    if (fstat(below.folder.front().fd->get(), &below.status) != 0) return failed();
  } else if (found->other.parent) {
    below.other = std::move(found->other);
    if (fstatat(below.other.parent->get(), name.c_str(), &below.status, AT_SYMLINK_NOFOLLOW) != 0) return failed();
  }
  return below;
}

// By the container, which may be running.
bool has_changed(int err) { return err == ENOENT || err == ENOTDIR || err == ELOOP; }

sys::Result<Here> Differ::look_here(const Parts& own, const std::string& name) const {
  Here here;
  for (const Part& part : own) {
    struct stat status = {};
    if (fstatat(part.fd->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return failed();
    }
    const bool folder = S_ISDIR(status.st_mode);
    here.closed = !folder;
    if (is_whiteout(part.fd->get(), name, status) || (!folder && !here.folder.empty())) break;
    if (!here.in) {
      here.in = part.fd;
      here.status = status;
    }
    if (!folder) break;
    auto fd = std::make_shared<const sys::Fd>(openat(part.fd->get(), name.c_str(), kOpenFolder));
    if (!*fd && !has_changed(errno)) return failed();
    if (!*fd) {
      here.changing = true;
      return here;
    }
    here.closed = has_overlay_mark(fd->get(), "opaque", 'y');
    here.folder.push_back({part.layer, std::move(fd)});
    if (here.closed) break;
  }
  return here;
}

sys::Result<void> Differ::subfolder(const Here& here, const Below& below) {
  const bool known = below.is_folder() || (!below.exists() && is_place(here.status));
  bool told = true;
  if (!known) {
    SYS_TRY(tell(below.exists() ? 'C' : 'A'));
  } else if (below.is_folder() && !same_owner_and_mode(here.status, below.status)) {
    SYS_TRY(tell('C'));
  } else {
    told = false;
  }
  if (way_.size() == depth_) {
    return sys::error("limit", "nested deeper than " + std::to_string(depth_) + " folders");
  }
  way_.push_back({path_.size(), told});
  SYS_TRY(folder(here.folder, below.folder, here.closed));
  way_.pop_back();
  return {};
}

sys::Result<void> Differ::member(const Parts& own, const std::string& name, const Parts& lower, bool closed) {
  auto here = look_here(own, name);
  if (!here) return here.take_failure();
  if (here->changing) return {};
  here->closed = here->closed || closed;
  auto below = look_below(lower, name);
  if (!below) return below.take_failure();
  if (!here->folder.empty()) return subfolder(*here, *below);
  // A whiteout, or a name of a closed folder's lower ones, which is hidden as well.
  if (!here->in) return below->exists() ? tell('D') : sys::Result<void>();
  const struct stat& status = here->status;
  if (!below->exists()) return is_place(status) ? sys::Result<void>() : tell('A');
  const bool same =
      !below->is_folder() && same_owner_and_mode(status, below->status) && same_content(status, below->status) &&
      (!S_ISREG(status.st_mode) || capability(here->in->get(), name) == capability(below->other.parent->get(), name));
  return same ? sys::Result<void>() : tell('C');
}

sys::Result<void> Differ::folder(const Parts& own, const Parts& lower, bool closed) {
  auto names = Stack::names_in(own);
  if (!names) return failed(names.failure().err);
  if (closed && !lower.empty()) {
    auto hidden = Stack::names_in(lower);
    if (!hidden) return failed(hidden.failure().err);
    names->merge(*hidden);
  }
  const size_t length = path_.size();
  for (const std::string& name : *names) {
    path_ += '/';
    path_ += name;
    SYS_TRY(member(own, name, lower, closed));
    path_.resize(length);
  }
  return {};
}

}  // namespace

sys::Result<void> diff(const Stack& own, const Stack& lower, ChangeSink& sink, size_t depth) {
  auto changed = own.folder("");
  if (!changed) return sys::errno_error(kStep, "/", changed.failure().err);
  auto root = lower.folder("");
  if (!root) return sys::errno_error(kStep, "/", root.failure().err);
  return Differ(sink, depth).folder(*changed, *root, false);
}

}  // namespace layer
