#include "layer/pack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <climits>
#include <map>
#include <utility>

#include "layer/locate.h"
#include "layer/metadata.h"
#include "layer/name.h"
#include "layer/overlay_marks.h"
#include "layer/pack_file.h"
#include "layer/tar_writer.h"
#include "sys/folder.h"
#include "sys/kernel.h"

namespace layer {
namespace {

constexpr uint64_t kNoWayOut = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
// A name that is something else at every look has a container's whole attention.
constexpr int kLooks = 4;

// One file's first name, and how many are still to come.
struct Links {
  std::string path;
  timespec changed = {};
  uint64_t others = 0;
};

Entry describe(const struct stat& status, const std::string& path) {
  Entry entry;
  entry.name = path;
  entry.mode = status.st_mode & 07777;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.modified = {status.st_mtim.tv_sec, static_cast<uint32_t>(status.st_mtim.tv_nsec)};
  return entry;
}

class Packer {
 public:
  Packer(Output& output, const PackOptions& options)
      : output_(output),
        options_(options),
        resolve_(options.mounts == PackOptions::Mounts::kLeftOut ? kNoWayOut | RESOLVE_NO_XDEV : kNoWayOut) {}

  sys::Result<void> root(int fd);
  sys::Result<void> named(int parent, const std::string& name, const std::string& as);
  PackReport report();

 private:
  // What came of one look at a name: it is in the archive or rightly not, or it was something else a moment later.
  enum class Look { kDone, kChanged };

  sys::Result<void> contents(int fd);
  sys::Result<void> member(int parent, const std::string& name);
  sys::Result<Look> look(int parent, const std::string& name);
  sys::Result<Look> folder(int parent, const std::string& name, const struct stat& seen);
  sys::Result<Look> file(int parent, const std::string& name);
  sys::Result<Look> symlink(int parent, const std::string& name, const struct stat& seen);
  sys::Result<Look> node(const struct stat& seen, EntryType type);
  sys::Result<Look> whiteout(const struct stat& seen);
  sys::Result<bool> is_place(const struct stat& status, int fd = -1) const;
  sys::Result<Look> lost(int err);
  sys::Result<bool> hardlink(const struct stat& seen);
  void remember_links(const struct stat& seen);
  sys::Result<void> put(const Entry& entry);
  sys::Result<void> put_withheld();
  // Not to be read, as it is no file of anybody's.
  [[nodiscard]] bool is_closed(int fd) const {
    return options_.mounts == PackOptions::Mounts::kFiles && is_kernel_files(fd);
  }
  [[nodiscard]] sys::Error failed(int err = errno) const {
    return sys::errno_error("read tree", printable(path_), err);
  }

  Output& output_;
  const PackOptions& options_;
  const uint64_t resolve_;
  PackReport report_;
  Warnings warnings_;
  std::string path_;  // of the entry in hand, relative to the root
  uint32_t depth_ = 0;
  int refusal_ = 0;  // why the last look at a name failed
  std::string header_;
  std::vector<Entry> withheld_;  // folders on the way that are left out unless something is in them
  std::map<std::pair<dev_t, ino_t>, Links> links_;
};

sys::Result<void> Packer::put_withheld() {
  for (const Entry& entry : std::exchange(withheld_, {})) SYS_TRY(put(entry));
  return {};
}

sys::Result<void> Packer::put(const Entry& entry) {
  if (!withheld_.empty()) SYS_TRY(put_withheld());
  header_.clear();
  append_header(header_, entry);
  report_.entries++;
  return output_.write(header_);
}

// What is told of each file is known at its first name; a tree that changes meanwhile may give the number of a file
// that is gone to another one, whose change time then tells.
sys::Result<bool> Packer::hardlink(const struct stat& seen) {
  if (seen.st_nlink < 2) return false;
  const auto found = links_.find({seen.st_dev, seen.st_ino});
  if (found == links_.end()) return false;
  Links& links = found->second;
  if (links.changed.tv_sec != seen.st_ctim.tv_sec || links.changed.tv_nsec != seen.st_ctim.tv_nsec) return false;
  Entry entry = describe(seen, path_);
  entry.type = EntryType::kHardlink;
  entry.link = links.path;
  SYS_TRY(put(entry));
  if (--links.others == 0) links_.erase(found);
  return true;
}

void Packer::remember_links(const struct stat& seen) {
  if (seen.st_nlink > 1) links_[{seen.st_dev, seen.st_ino}] = {path_, seen.st_ctim, seen.st_nlink - 1};
}

// A name could not be opened as what it was a moment ago.
sys::Result<Packer::Look> Packer::lost(int err) {
  if (err == ENOENT) {
    report_.vanished++;
    warnings_.add(printable(path_) + " vanished");
    return Look::kDone;
  }
  // Another type stands there now; ENODEV, ENXIO and EACCES: a device that is none, or that this mount has none of.
  refusal_ = err;
  if (err == ELOOP || err == ENOTDIR || err == ENXIO || err == ENODEV || err == EACCES) return Look::kChanged;
  return failed(err);
}

sys::Result<Packer::Look> Packer::file(int parent, const std::string& name) {
  // Not blocking: a fifo may have come in its place.
  const sys::Fd fd(sys::openat2(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, resolve_));
  if (!fd) return lost(errno);
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return failed();
  if (!S_ISREG(status.st_mode)) return Look::kChanged;
  if (is_closed(fd.get())) {
    warnings_.add(printable(path_) + " left out: it is the kernel's");
    return Look::kDone;
  }
  Entry entry = describe(status, path_);
  entry.size = static_cast<uint64_t>(status.st_size);
  SYS_TRY(read_xattrs(fd.get(), entry, warnings_));
  remember_links(status);
  SYS_TRY(put(entry));
  auto whole = copy_file(fd.get(), status, output_);
  if (!whole) {
    sys::Error failure = whole.take_failure();
    if (failure.step != "write") failure.path = printable(path_);
    return failure;
  }
  if (!*whole) {
    report_.changed++;
    warnings_.add(printable(path_) + " changed its size while it was read");
  }
  return Look::kDone;
}

sys::Result<Packer::Look> Packer::folder(int parent, const std::string& name, const struct stat& seen) {
  const sys::Fd fd(sys::openat2(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve_));
  // Another mount's root: the folder is told of, what is mounted on it is not of this tree.
  bool elsewhere = !fd && errno == EXDEV;
  if (!fd && !elsewhere) return lost(errno);
  elsewhere = elsewhere || is_closed(fd.get());
  struct stat status = seen;
  if (!elsewhere && fstat(fd.get(), &status) != 0) return failed();
  Entry entry = describe(status, path_);
  entry.type = EntryType::kDirectory;
  if (!elsewhere) SYS_TRY(read_xattrs(fd.get(), entry, warnings_));
  auto place = is_place(status, fd.get());
  if (!place) return place.take_failure();
  if (*place) {
    withheld_.push_back(std::move(entry));
  } else {
    SYS_TRY(put(entry));
  }
  if (!elsewhere && options_.layer != nullptr && has_overlay_mark(fd.get(), "opaque", 'y'))
    SYS_TRY(put(LayerForm::opaque(path_, status)));
  if (!elsewhere) SYS_TRY(contents(fd.get()));
  // Nothing came that would have brought it along.
  if (*place && !withheld_.empty()) withheld_.pop_back();
  return Look::kDone;
}

sys::Result<Packer::Look> Packer::symlink(int parent, const std::string& name, const struct stat& seen) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = readlinkat(parent, name.c_str(), target.data(), target.size());
  if (size < 0) return errno == EINVAL ? sys::Result<Look>(Look::kChanged) : lost(errno);
  target.resize(static_cast<size_t>(size));
  Entry entry = describe(seen, path_);
  entry.type = EntryType::kSymlink;
  entry.link = target;
  remember_links(seen);
  SYS_TRY(put(entry));
  return Look::kDone;
}

sys::Result<Packer::Look> Packer::node(const struct stat& seen, EntryType type) {
  Entry entry = describe(seen, path_);
  entry.type = type;
  if (type != EntryType::kFifo) {
    entry.device_major = major(seen.st_rdev);
    entry.device_minor = minor(seen.st_rdev);
  }
  remember_links(seen);
  SYS_TRY(put(entry));
  return Look::kDone;
}

sys::Result<Packer::Look> Packer::whiteout(const struct stat& seen) {
  SYS_TRY(put(LayerForm::whiteout(path_, seen)));
  return Look::kDone;
}

sys::Result<bool> Packer::is_place(const struct stat& status, int fd) const {
  return options_.layer == nullptr ? sys::Result<bool>(false) : options_.layer->is_place(path_, status, fd);
}

sys::Result<Packer::Look> Packer::look(int parent, const std::string& name) {
  struct stat seen = {};
  if (fstatat(parent, name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) return lost(errno);
  // overlayfs makes many whiteouts of one inode: they are no hardlinks of anything.
  if (options_.layer != nullptr && is_whiteout(parent, name, seen)) return whiteout(seen);
  if (S_ISDIR(seen.st_mode)) return folder(parent, name, seen);
  auto place = is_place(seen);
  if (!place) return place.take_failure();
  if (*place) return Look::kDone;
  auto linked = hardlink(seen);
  if (!linked) return linked.take_failure();
  if (*linked) return Look::kDone;
  switch (seen.st_mode & S_IFMT) {
    case S_IFREG:
      return file(parent, name);
    case S_IFLNK:
      return symlink(parent, name, seen);
    case S_IFIFO:
      return node(seen, EntryType::kFifo);
    case S_IFCHR:
      return node(seen, EntryType::kCharDevice);
    case S_IFBLK:
      return node(seen, EntryType::kBlockDevice);
    default:
      report_.sockets++;
      return Look::kDone;
  }
}

sys::Result<void> Packer::member(int parent, const std::string& name) {
  if (options_.layer != nullptr) SYS_TRY(LayerForm::check_name(name, path_));
  for (int looks = 0; looks < kLooks; looks++) {
    refusal_ = 0;
    auto looked = look(parent, name);
    if (!looked) return looked.take_failure();
    if (*looked == Look::kDone) return {};
  }
  // Not a race, then, but a file that may not be read.
  if (refusal_ == EACCES) return failed(refusal_);
  report_.changed++;
  warnings_.add(printable(path_) + " left out: it was another thing at every look");
  return {};
}

sys::Result<void> Packer::contents(int fd) {
  if (depth_ == options_.depth) {
    sys::Error failure = sys::error("limit", "nested deeper than " + std::to_string(options_.depth) + " folders");
    failure.path = printable(path_);
    return failure;
  }
  auto names = sys::folder_names(fd, "read tree");
  if (!names) return failed(names.failure().err);
  const size_t length = path_.size();
  depth_++;
  for (const std::string& name : *names) {
    if (length > 0) path_ += '/';
    path_ += name;
    SYS_TRY(member(fd, name));
    path_.resize(length);
  }
  depth_--;
  return {};
}

sys::Result<void> Packer::root(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return failed();
  Entry entry = describe(status, path_.empty() ? "./" : path_);
  entry.type = EntryType::kDirectory;
  SYS_TRY(read_xattrs(fd, entry, warnings_));
  if (options_.layer != nullptr) {
    auto same = options_.layer->same_root(fd);
    if (!same) return same.take_failure();
    report_.same_root = *same;
  }
  SYS_TRY(put(entry));
  return contents(fd);
}

sys::Result<void> Packer::named(int parent, const std::string& name, const std::string& as) {
  path_ = as;
  struct stat status = {};
  if (!name.empty() && fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return failed();
  if (!name.empty() && !as.empty()) return member(parent, name);
  const sys::Fd fd(
      sys::openat2(parent, name.empty() ? "." : name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, kNoWayOut));
  if (!fd) return failed();
  if (is_closed(fd.get())) return failed(EACCES);
  return root(fd.get());
}

PackReport Packer::report() {
  report_.warnings = warnings_.take();
  return std::move(report_);
}

}  // namespace

sys::Result<PackReport> pack(int root, Output& output, const PackOptions& options) {
  Packer packer(output, options);
  SYS_TRY(packer.root(root));
  SYS_TRY(output.zeros(kTrailerSize));
  return packer.report();
}

sys::Result<PackReport> pack_member(int parent, const std::string& name, const std::string& as, Output& output,
                                    const PackOptions& options) {
  Packer packer(output, options);
  SYS_TRY(packer.named(parent, name, as));
  SYS_TRY(output.zeros(kTrailerSize));
  return packer.report();
}

}  // namespace layer
