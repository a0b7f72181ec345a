#include "layer/deposit.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "layer/locate.h"
#include "layer/name.h"
#include "layer/xattrs.h"
#include "sys/copy.h"
#include "sys/kernel.h"

namespace layer {
namespace {

constexpr const char* kStep = "extract";
constexpr int kLook = O_PATH | O_DIRECTORY;
constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
// Runs of zeros of this size become holes again: tar has no way to tell them that everybody reads.
constexpr size_t kHole = 65536;
constexpr uint32_t kSetIds = 06000;

sys::Error failed(std::string what = {}, int err = errno) { return sys::error(kStep, std::move(what), err); }

bool is_zero(const uint8_t* bytes, size_t size) {
  return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0;
}

sys::Result<void> write_piece(int fd, const Piece& piece) {
  for (size_t done = 0; done < piece.bytes.size();) {
    const size_t part = std::min(kHole, piece.bytes.size() - done);
    const auto at = static_cast<off_t>(piece.offset + done);
    if (part == kHole && is_zero(piece.bytes.data() + done, part)) {
      done += part;
      continue;
    }
    const ssize_t wrote = pwrite(fd, piece.bytes.data() + done, part, at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failed();
    done += static_cast<size_t>(wrote);
  }
  return {};
}

// Nobody can have guessed it, and put something there.
sys::Result<std::string> temporary_name() {
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) return failed("getrandom");
  return ".dinghy-" + std::to_string(number);
}

}  // namespace

Deposit::Deposit(int root, DepositOptions options)
    : root_(root), options_(std::move(options)), resolve_(options_.beneath ? kBeneath : sys::kInRoot) {}

void Deposit::abandon() {
  mutex_.lock();  // for good: the thread that writes must not come to rename it
  if (temporary_folder_ >= 0) unlinkat(temporary_folder_, temporary_.c_str(), 0);
}

// EPERM: not privileged. EINVAL: the id has no place in this user namespace. cp -a goes on as well.
bool Deposit::chown_failed(int result) const {
  if (result == 0) return false;
  return options_.owners != DepositOptions::Owners::kKept || (errno != EPERM && errno != EINVAL);
}

int Deposit::open_folder(const std::string& path, int flags) const {
  return sys::openat2(root_, path.empty() ? "." : path.c_str(), static_cast<uint64_t>(flags), resolve_);
}

sys::Result<std::string> Deposit::place_of(const std::string& name) const {
  auto path = clean_name(name, options_.depth);
  if (!path) return path.take_failure();
  for (size_t parts = 0; parts < options_.strip; parts++) {
    const size_t slash = path->find('/');
    if (path->empty()) return failed("a name that is too short", EINVAL);
    path->erase(0, slash == std::string::npos ? path->size() : slash + 1);
  }
  if (options_.base.empty() || path->empty()) return options_.base + *path;
  return options_.base + "/" + *path;
}

sys::Result<Deposit::Shared> Deposit::folder(const std::string& path) {
  if (cached_ && path == cached_path_) return cached_;
  sys::Fd fd(open_folder(path, kLook));
  if (!fd && errno == ENOENT && !path.empty()) {
    auto parent = folder(std::string(parent_of(path)));
    if (!parent) return parent.take_failure();
    const std::string name(base_of(path));
    if (mkdirat((*parent)->get(), name.c_str(), 0755) != 0 && errno != EEXIST) return failed();
    if (options_.owners != DepositOptions::Owners::kOwn &&
        fchownat((*parent)->get(), name.c_str(), 0, 0, AT_SYMLINK_NOFOLLOW) != 0 && errno != EPERM && errno != EINVAL)
      return failed();
    fd.reset(open_folder(path, kLook));
  }
  if (!fd) return failed();
  if (!options_.beneath && is_kernel_files(fd.get())) return failed("one of the kernel's own file systems", EACCES);
  cached_ = std::make_shared<const sys::Fd>(std::move(fd));
  cached_path_ = path;
  return cached_;
}

sys::Result<void> Deposit::make_way(int parent, const std::string& name) {
  struct stat status = {};
  if (fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return failed();
  }
  if (S_ISDIR(status.st_mode)) return failed("a folder stands where another thing should go", EISDIR);
  if (unlinkat(parent, name.c_str(), 0) != 0 && errno != ENOENT) return failed();
  return {};
}

sys::Result<void> Deposit::give_name_attributes(int parent, const std::string& name, const Entry& entry) const {
  if (options_.owners != DepositOptions::Owners::kOwn &&
      chown_failed(fchownat(parent, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW)))
    return failed("chown");
  if (utimensat(parent, name.c_str(), times_of(entry.accessed, entry.modified).both, AT_SYMLINK_NOFOLLOW) != 0)
    return failed("set times");
  return {};
}

sys::Result<void> Deposit::add_folder(const Entry& entry, const std::string& path) {
  const bool is_base = path == options_.base;
  sys::Fd fd;
  if (path.empty()) {
    fd.reset(open_folder(path, O_RDONLY | O_DIRECTORY));
  } else {
    auto parent = folder(std::string(parent_of(path)));
    if (!parent) return parent.take_failure();
    const Shared held = *parent;
    const std::string name(base_of(path));
    if (mkdirat(held->get(), name.c_str(), 0700) != 0 && errno != EEXIST) return failed();
    fd.reset(openat(held->get(), name.c_str(), kOpenFolder));
    if (!fd && (errno == ELOOP || errno == ENOTDIR))
      return failed("another thing stands where a folder should go", ENOTDIR);
  }
  if (!fd) return failed();
  if (!options_.beneath && is_kernel_files(fd.get())) return failed("one of the kernel's own file systems", EACCES);
  if (is_base && options_.base_stays) return {};
  if (options_.owners != DepositOptions::Owners::kOwn && chown_failed(fchown(fd.get(), entry.uid, entry.gid)))
    return failed("chown");
  for (const Xattr& xattr : entry.xattrs) {
    if (!belongs_to_image(xattr.name)) continue;
    if (fsetxattr(fd.get(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
      warnings_.add("attribute " + printable(xattr.name) + " left out, of " + printable(entry.name));
  }
  folders_.push_back({path, entry.mode, entry.modified});
  return {};
}

sys::Result<void> Deposit::fill(int fd, const Entry& entry, TarReader& data) {
  while (true) {
    auto piece = data.data();
    if (!piece) return piece.take_failure();
    if (piece->bytes.empty()) break;
    SYS_TRY(write_piece(fd, *piece));
  }
  // What was left out at its end is a hole.
  if (ftruncate(fd, static_cast<off_t>(entry.size)) != 0) return failed();
  if (options_.owners != DepositOptions::Owners::kOwn && chown_failed(fchown(fd, entry.uid, entry.gid)))
    return failed("chown");
  for (const Xattr& xattr : entry.xattrs) {
    if (!belongs_to_image(xattr.name)) continue;
    if (fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
      warnings_.add("attribute " + printable(xattr.name) + " left out, of " + printable(entry.name));
  }
  if (fchmod(fd, entry.mode) != 0) return failed("chmod");
  if (futimens(fd, times_of(entry.accessed, entry.modified).both) != 0) return failed("set times");
  return {};
}

// The file gets its name. One that a mount stands on, as on a container's /etc/hosts, gets the content instead.
sys::Result<void> Deposit::settle(int fd, int parent, const std::string& temporary, const std::string& name) {
  if (renameat(parent, temporary.c_str(), parent, name.c_str()) == 0) return {};
  if (errno == EISDIR) return failed("a folder stands where another thing should go", EISDIR);
  if (errno != EBUSY) return failed();
  const sys::Fd there(openat(parent, name.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status = {};
  if (!there || fstat(there.get(), &status) != 0) return failed();
  if (!S_ISREG(status.st_mode) || is_kernel_files(there.get())) return failed({}, EBUSY);
  if (ftruncate(there.get(), 0) != 0) return failed();
  auto copied = sys::copy_content(fd, there.get());
  if (!copied) return failed({}, copied.failure().err);
  if (unlinkat(parent, temporary.c_str(), 0) != 0) return failed();
  return {};
}

sys::Result<void> Deposit::add_file(const Entry& entry, int parent, const std::string& name, TarReader& data) {
  auto temporary = temporary_name();
  if (!temporary) return temporary.take_failure();
  sys::Fd fd;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    fd.reset(openat(parent, temporary->c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return failed();
    temporary_folder_ = parent;
    temporary_ = *temporary;
  }
  auto filled = fill(fd.get(), entry, data);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (filled) filled = settle(fd.get(), parent, *temporary, name);
  temporary_folder_ = -1;
  if (!filled) unlinkat(parent, temporary->c_str(), 0);
  return filled;
}

sys::Result<void> Deposit::add_symlink(const Entry& entry, int parent, const std::string& name) {
  SYS_TRY(make_way(parent, name));
  if (entry.link.empty()) return failed("a symlink without target", EINVAL);
  if (symlinkat(entry.link.c_str(), parent, name.c_str()) != 0) return failed();
  return give_name_attributes(parent, name, entry);
}

sys::Result<void> Deposit::add_node(const Entry& entry, int parent, const std::string& name, const std::string& path) {
  const bool character = entry.type == EntryType::kCharDevice;
  const bool device = character || entry.type == EntryType::kBlockDevice;
  if (device) {
    struct statfs info = {};
    // On a volume or a bind mount it would be the host's.
    const bool allowed = options_.devices && fstatfs(parent, &info) == 0 && info.f_type == OVERLAYFS_SUPER_MAGIC;
    if (!allowed) {
      left_out_.insert(path);
      warnings_.add("device left out: " + printable(entry.name));
      return {};
    }
  }
  if (character && entry.device_major == 0 && entry.device_minor == 0)
    return failed("character device 0:0 is overlayfs's whiteout", EINVAL);
  SYS_TRY(make_way(parent, name));
  const mode_t type = character ? S_IFCHR : device ? S_IFBLK : S_IFIFO;
  const dev_t number = device ? makedev(entry.device_major, entry.device_minor) : 0;
  if (mknodat(parent, name.c_str(), type | (entry.mode & 0777), number) != 0) {
    if (!device || errno != EPERM) return failed();
    left_out_.insert(path);
    warnings_.add("device left out: " + printable(entry.name));
    return {};
  }
  return give_name_attributes(parent, name, entry);
}

sys::Result<void> Deposit::add_hardlink(const Entry& entry, int parent, const std::string& name) {
  auto target = place_of(entry.link);
  if (!target) return target.take_failure();
  if (left_out_.contains(*target)) {
    warnings_.add("another name of a device left out: " + printable(entry.name));
    return {};
  }
  const sys::Fd held(open_folder(std::string(parent_of(*target)), kLook));
  if (!held) return failed("hardlink to " + printable(entry.link));
  const std::string target_name(base_of(*target));
  struct stat source = {};
  struct stat there = {};
  if (fstatat(held.get(), target_name.c_str(), &source, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(source.st_mode))
    return failed("hardlink to " + printable(entry.link), S_ISDIR(source.st_mode) ? EPERM : errno);
  const bool same = fstatat(parent, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == source.st_ino &&
                    there.st_dev == source.st_dev;
  if (same) return {};
  SYS_TRY(make_way(parent, name));
  if (linkat(held.get(), target_name.c_str(), parent, name.c_str(), 0) != 0)
    return failed("hardlink to " + printable(entry.link));
  return {};
}

sys::Result<void> Deposit::add(Entry& entry, TarReader& data) {
  auto path = place_of(entry.name);
  if (!path) return path.take_failure();
  if (options_.owners == DepositOptions::Owners::kRoot) entry.uid = entry.gid = 0;
  if (options_.plain) {
    entry.mode &= ~kSetIds;
    entry.xattrs.clear();
  }
  if (entry.type == EntryType::kDirectory) return add_folder(entry, *path);
  // The archive's root as another thing would replace the folder that everything goes into (CVE-2021-29136).
  if (path->empty() || (options_.strip == 0 && *path == options_.base))
    return failed("refused: the root can only be a folder", EINVAL);
  auto parent = folder(std::string(parent_of(*path)));
  if (!parent) return parent.take_failure();
  const Shared held = *parent;
  const std::string name(base_of(*path));
  switch (entry.type) {
    case EntryType::kFile:
      return add_file(entry, held->get(), name, data);
    case EntryType::kSymlink:
      return add_symlink(entry, held->get(), name);
    case EntryType::kHardlink:
      return add_hardlink(entry, held->get(), name);
    default:
      return add_node(entry, held->get(), name, *path);
  }
}

// Innermost last made, first finished: a mode may take away the right to go further in, and every change in a folder
// changes its time.
sys::Result<void> Deposit::finish() {
  for (auto item = folders_.rbegin(); item != folders_.rend(); item++) {
    const sys::Fd fd(open_folder(item->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (!fd && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) continue;  // others are at work here
    if (!fd || fchmod(fd.get(), item->mode) != 0 || futimens(fd.get(), times_of({}, item->modified).both) != 0) {
      sys::Error failure = failed();
      failure.path = printable(item->path);
      return failure;
    }
  }
  return {};
}

sys::Result<void> Deposit::run(ByteSource& source) {
  TarReader reader(source);
  Entry entry;
  const auto named = [&entry](sys::Error failure) {
    if (failure.path.empty()) failure.path = printable(entry.name);
    return failure;
  };
  while (true) {
    auto more = reader.next(entry);
    if (!more) return named(more.take_failure());
    if (!*more) break;
    if (++entries_ > options_.entries)
      return named(sys::error("limit", "over " + std::to_string(options_.entries) + " entries"));
    auto added = add(entry, reader);
    if (!added) return named(added.take_failure());
  }
  // Whoever writes it would be told that nobody reads: tar pads archives to ten KiB.
  while (true) {
    auto rest = source.next();
    if (!rest) return named(rest.take_failure());
    if (rest->empty()) return finish();
  }
}

}  // namespace layer
