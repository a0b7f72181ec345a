#include "layer/replica.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <optional>
#include <vector>

#include "layer/name.h"
#include "layer/replica_attributes.h"
#include "sys/copy.h"
#include "sys/folder.h"
#include "sys/kernel.h"

namespace layer {
namespace {

constexpr uint64_t kNoWayOut = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr const char* kRead = "read tree";
constexpr const char* kCopy = "copy";
// A name that is something else at every look, while nobody should write.
constexpr int kLooks = 4;
// Change times are taken from a clock that ticks, before Linux 6.13 every 1 to 10 ms: within a tick a second change
// does not show.
constexpr int64_t kTickNs = 20'000'000;

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

int64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

bool same_time(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

FileId id_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

}  // namespace

// A folder of the copy, opened when something in it is to be changed: in the last pass of most there is nothing.
class Replica::Copy {
 public:
  explicit Copy(int fd) : opened_(fd) {}
  Copy(Copy& parent, const std::string& name) : parent_(&parent), name_(&name) {}

  sys::Result<int> fd() {
    if (opened_ >= 0 || parent_ == nullptr) return opened_;
    auto above = parent_->fd();
    if (!above) return above;
    own_.reset(openat(*above, name_->c_str(), kFolderFlags));
    if (!own_) return sys::errno_error(kCopy);
    opened_ = own_.get();
    return opened_;
  }

 private:
  Copy* parent_ = nullptr;
  const std::string* name_ = nullptr;
  sys::Fd own_;
  int opened_ = -1;
};

sys::Error Replica::failed(const char* step, int err) const { return sys::errno_error(step, printable(path_), err); }

// A name could not be opened as what it was a moment ago.
sys::Result<Replica::Made> Replica::moved(int err) const {
  const bool other = err == ENOENT || err == ELOOP || err == ENOTDIR || err == ENXIO || err == ENODEV || err == EACCES;
  return other ? sys::Result<Made>(Made::kMoved) : failed(kRead, err);
}

void Replica::note(Node& node, const struct stat& seen) const {
  node.type = seen.st_mode & S_IFMT;
  node.id = id_of(seen);
  node.changed = seen.st_ctim;
  node.several = seen.st_nlink > 1;
  node.settled = nanoseconds(seen.st_ctim) + kTickNs < now_ns();
}

bool Replica::is_known(const Node& node, const struct stat& seen) const {
  return node.settled && node.type == (seen.st_mode & S_IFMT) && node.id == id_of(seen) &&
         same_time(node.changed, seen.st_ctim) && !doubts_->has(seen);
}

// The one that path_ names.
sys::Result<void> Replica::remove_copy(int to, const std::string& name, const Node& node) {
  if (S_ISDIR(node.type)) {
    const sys::Fd fd(openat(to, name.c_str(), kFolderFlags));
    if (!fd) return failed(kCopy);
    for (const auto& [below, child] : node.children) {
      const size_t length = enter(below);
      SYS_TRY(remove_copy(fd.get(), below, child));
      path_.resize(length);
    }
  } else if (const auto found = links_.find(node.id); found != links_.end()) {
    found->second.paths.erase(path_);
  }
  if (unlinkat(to, name.c_str(), S_ISDIR(node.type) ? AT_REMOVEDIR : 0) != 0) return failed(kCopy);
  return {};
}

// What the copy has under the name that path_ ends with goes.
sys::Result<void> Replica::forget(Copy& to, const std::string& name, Node& parent) {
  const auto found = parent.children.find(name);
  if (found == parent.children.end()) return {};
  auto fd = to.fd();
  if (!fd) return fd.take_failure();
  SYS_TRY(remove_copy(*fd, name, found->second));
  parent.children.erase(found);
  return {};
}

// path_ goes on with `name`; returns how long it was.
size_t Replica::enter(const std::string& name) {
  const size_t length = path_.size();
  if (length > 0) path_ += '/';
  path_ += name;
  return length;
}

// One that was copied before and is not known to be the same is copied anew, and so all its names are.
sys::Result<bool> Replica::link_to_copy(int to, const std::string& name, const struct stat& seen, Node& node) {
  const auto found = links_.find(node.id);
  if (found == links_.end() || found->second.paths.empty()) return false;
  Links& links = found->second;
  const bool stays = links.settled && !doubts_->has(seen);
  if (!same_time(links.changed, seen.st_ctim) || (links.pass != passes_ && !stays)) return false;
  const std::string& path = *links.paths.begin();
  // Reached name by name: the whole may be longer than PATH_MAX.
  sys::Fd folder(openat(to_, ".", kFolderFlags));
  size_t start = 0;
  for (size_t slash = path.find('/'); folder && slash != std::string::npos; slash = path.find('/', start)) {
    folder.reset(openat(folder.get(), path.substr(start, slash - start).c_str(), kFolderFlags));
    start = slash + 1;
  }
  if (!folder || linkat(folder.get(), path.c_str() + start, to, name.c_str(), 0) != 0) return failed(kCopy);
  // Of when it was copied, which is what this name has now.
  node.settled = links.settled;
  links.paths.insert(path_);
  return true;
}

// The first name of a file as it is now.
void Replica::note_name(const Node& node) { links_[node.id] = {{path_}, node.changed, node.settled, passes_}; }

sys::Result<Replica::Made> Replica::make_file(int from, int to, const std::string& name, Node& node) {
  // Not blocking: a fifo may have come in its place.
  const sys::Fd source(sys::openat2(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, kNoWayOut));
  if (!source) return moved(errno);
  // Before its content is read: who writes then changes the time, and who is in the midst of a write is waited for, by
  // the locks that sharing blocks and looking for holes take.
  struct stat status = {};
  if (fstat(source.get(), &status) != 0) return failed(kRead);
  if (!S_ISREG(status.st_mode)) return Made::kMoved;
  note(node, status);
  const sys::Fd copy(openat(to, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!copy) return failed(kCopy);
  auto copied = sys::copy_content(source.get(), copy.get());
  if (!copied) return failed(kCopy, copied.failure().err);
  pass_.bytes += static_cast<uint64_t>(status.st_size);
  auto given = copy_attributes(source.get(), copy.get(), status);
  if (!given) return failed(kCopy, given.failure().err);
  return Made::kDone;
}

sys::Result<Replica::Made> Replica::make_link(int from, int to, const std::string& name, const struct stat& seen,
                                              const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = readlinkat(from, name.c_str(), target.data(), target.size() - 1);
  if (size < 0 && (errno == EINVAL || errno == ENOENT)) return Made::kMoved;
  if (size < 0) return sys::errno_error(kRead, printable(path));
  target.resize(static_cast<size_t>(size));
  if (symlinkat(target.c_str(), to, name.c_str()) != 0) return sys::errno_error(kCopy, printable(path));
  auto given = give_status(to, name, seen);
  if (!given) return sys::errno_error(kCopy, printable(path), given.failure().err);
  return Made::kDone;
}

sys::Result<Replica::Made> Replica::make(int from, int to, const std::string& name, const struct stat& seen,
                                         Node& node) {
  note(node, seen);
  if (seen.st_nlink > 1) {
    auto linked = link_to_copy(to, name, seen, node);
    if (!linked) return linked.take_failure();
    if (*linked) return Made::kDone;
  }
  sys::Result<Made> made = Made::kDone;
  if (S_ISREG(seen.st_mode)) {
    made = make_file(from, to, name, node);
  } else if (S_ISLNK(seen.st_mode)) {
    made = make_link(from, to, name, seen, path_);
  } else {
    if (mknodat(to, name.c_str(), seen.st_mode, seen.st_rdev) != 0) return failed(kCopy);
    auto given = give_status(to, name, seen);
    if (!given) return failed(kCopy, given.failure().err);
  }
  if (made && *made == Made::kDone && node.several) note_name(node);
  return made;
}

sys::Result<bool> Replica::subfolder(int from, Copy& to, const std::string& name, Node& parent,
                                     const struct stat& seen) {
  const sys::Fd fd(sys::openat2(from, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, kNoWayOut));
  struct stat status = seen;
  if (!fd) {
    auto gone = moved(errno);
    if (!gone) return gone.take_failure();
    SYS_TRY(forget(to, name, parent));
    return true;
  }
  if (fstat(fd.get(), &status) != 0) return failed(kRead);
  auto found = parent.children.find(name);
  if (found != parent.children.end() && (!S_ISDIR(found->second.type) || found->second.id != id_of(status))) {
    SYS_TRY(forget(to, name, parent));
    found = parent.children.end();
  }
  if (found == parent.children.end()) {
    auto above = to.fd();
    if (!above) return above.take_failure();
    if (mkdirat(*above, name.c_str(), 0700) != 0) return failed(kCopy);
    found = parent.children.emplace(name, Node{}).first;
    found->second.type = S_IFDIR;
    found->second.id = id_of(status);
  }
  if (level_ == depth_) {
    sys::Error failure = sys::error("limit", "nested deeper than " + std::to_string(depth_) + " folders");
    failure.path = printable(path_);
    return failure;
  }
  level_++;
  Copy copy(to, found->first);
  auto touched = folder(fd.get(), copy, found->second, status);
  level_--;
  return touched;
}

sys::Result<bool> Replica::member(int from, Copy& to, const std::string& name, Node& parent) {
  for (int looks = 0; looks < kLooks; looks++) {
    struct stat seen = {};
    if (fstatat(from, name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno != ENOENT) return failed(kRead);
      break;
    }
    if (S_ISDIR(seen.st_mode)) return subfolder(from, to, name, parent, seen);
    const auto found = parent.children.find(name);
    const bool had = found != parent.children.end();
    if (had && is_known(found->second, seen)) return false;
    SYS_TRY(forget(to, name, parent));
    if (S_ISSOCK(seen.st_mode)) return had;
    auto fd = to.fd();
    if (!fd) return fd.take_failure();
    Node node;
    auto made = make(from, *fd, name, seen, node);
    if (!made) return made.take_failure();
    if (*made == Made::kDone) {
      pass_.made++;
      parent.children.emplace(name, std::move(node));
      return true;
    }
    if (last_ && looks + 1 == kLooks) return failed(kRead, EBUSY);
    if (!last_) break;
  }
  // It is gone; or it moves, and the next pass finds it.
  const bool had = parent.children.contains(name);
  SYS_TRY(forget(to, name, parent));
  return had;
}

// Whether anything was done in it. `status` is of just before.
sys::Result<bool> Replica::folder(int from, Copy& to, Node& node, const struct stat& status) {
  const bool known = is_known(node, status);
  // Of now, and true when all is done: what is put into it meanwhile changes its time.
  Node seen;
  note(seen, status);
  bool touched = false;
  if (known) {
    // Nothing came or went.
    std::string name;
    for (auto child = node.children.begin(); child != node.children.end();) {
      name = child->first;
      child++;  // what it was at may go
      SYS_TRY(visit(from, to, name, node, touched));
    }
  } else {
    auto names = sys::folder_names(from, kRead);
    if (!names) return failed(kRead, names.failure().err);
    std::vector<std::string> gone;
    for (const auto& [name, child] : node.children) {
      if (!std::binary_search(names->begin(), names->end(), name)) gone.push_back(name);
    }
    touched = !gone.empty();
    for (const std::string& name : gone) {
      const size_t length = enter(name);
      SYS_TRY(forget(to, name, node));
      path_.resize(length);
    }
    for (const std::string& name : *names) SYS_TRY(visit(from, to, name, node, touched));
  }
  if (known && !touched) return false;
  auto fd = to.fd();
  if (!fd) return fd.take_failure();
  auto given = copy_attributes(from, *fd, status);
  if (!given) return failed(kCopy, given.failure().err);
  node.type = seen.type;
  node.id = seen.id;
  node.changed = seen.changed;
  node.settled = seen.settled;
  return true;
}

sys::Result<void> Replica::visit(int from, Copy& to, const std::string& name, Node& parent, bool& touched) {
  const size_t length = enter(name);
  pass_.looked++;
  auto done = member(from, to, name, parent);
  if (!done) return done.take_failure();
  touched = touched || *done;
  path_.resize(length);
  return {};
}

sys::Result<Replica::Pass> Replica::run(bool last, const Doubts& doubts) {
  umask(0);
  pass_ = {};
  passes_++;
  last_ = last;
  doubts_ = &doubts;
  path_.clear();
  level_ = 0;
  struct stat status = {};
  if (fstat(from_, &status) != 0) return failed(kRead);
  Copy copy(to_);
  auto done = folder(from_, copy, root_, status);
  if (!done) return done.take_failure();
  return pass_;
}

}  // namespace layer
