#include "layer/writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "layer/name.h"

namespace layer {
namespace {

constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

sys::Error failed(const char* what) { return sys::error("extract", what, errno); }

sys::Error refuse(const char* why) { return sys::error("extract", std::string("refused: ") + why, EINVAL); }

// At `offset`, so that the holes of sparse files stay holes.
sys::Result<void> write_piece(int fd, const Piece& piece) {
  size_t done = 0;
  while (done < piece.bytes.size()) {
    const ssize_t wrote =
        pwrite(fd, piece.bytes.data() + done, piece.bytes.size() - done, static_cast<off_t>(piece.offset + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failed("write");
    done += static_cast<size_t>(wrote);
  }
  return {};
}

// Calls `make`, which returns -1 and EEXIST when the name is taken: then once more after removing what has it.
// `replaced` tells whether that was something else than a folder.
template <class Make>
sys::Result<int> replacing(Tree& tree, int folder, const std::string& name, bool* replaced, Make make) {
  int made = make();
  if (made >= 0 || errno != EEXIST) return made;
  auto removed = tree.remove(folder, name);
  if (!removed) return removed.take_failure();
  if (replaced != nullptr) *replaced = true;
  made = make();
  return made;
}

}  // namespace

Writer::Writer(Tree& tree, const WriterOptions& options)
    : tree_(tree),
      options_(options),
      privileged_(geteuid() == 0),
      metadata_(tree, warnings_),
      hardlinks_(tree),
      whiteouts_(tree, options.userxattr) {}

sys::Result<void> Writer::add(const Entry& entry, TarReader& data) {
  const auto named = [&entry](sys::Error failure) {
    if (failure.path.empty() || failure.step == "extract") failure.path = printable(entry.name);
    return failure;
  };
  auto path = clean_name(entry.name, options_.max_depth);
  if (!path) return path.take_failure();
  auto kind = classify_name(*path);
  if (!kind) return kind.take_failure();
  sys::Result<void> added;
  switch (*kind) {
    case NameKind::kIgnored:
      return {};
    case NameKind::kWhiteout:
      added = whiteouts_.hide(parent_of(*path), whiteout_target(base_of(*path)));
      break;
    case NameKind::kOpaque:
      added = whiteouts_.hide_all(parent_of(*path));
      break;
    case NameKind::kOrdinary:
      added = add_ordinary(entry, *path, data);
      break;
  }
  if (!added) return named(added.take_failure());
  return {};
}

sys::Result<void> Writer::add_ordinary(const Entry& entry, const std::string& path, TarReader& data) {
  if (path.empty()) return add_root(entry);
  if (entry.type == EntryType::kDirectory) return add_folder(entry, path);
  if (entry.type == EntryType::kHardlink) return add_hardlink(entry, path);
  auto folder = tree_.make_folder(parent_of(path));
  if (!folder) return folder.take_failure();
  const SharedFd held = *folder;
  const std::string name(base_of(path));
  switch (entry.type) {
    case EntryType::kFile:
      return add_file(entry, held->get(), name, data);
    case EntryType::kSymlink:
      return add_symlink(entry, held->get(), name);
    default:
      return add_node(entry, held->get(), name);
  }
}

// Any other type would put something else in the place of the root itself (CVE-2021-29136).
sys::Result<void> Writer::add_root(const Entry& entry) {
  if (entry.type != EntryType::kDirectory) return refuse("the root can only be a folder");
  const sys::Fd fd(openat(tree_.root(), ".", kOpenFolder));
  struct stat status = {};
  if (!fd || fstat(fd.get(), &status) != 0) return failed("open");
  return give_attributes(fd.get(), entry, tree_.folders()[status.st_ino]);
}

sys::Result<void> Writer::add_folder(const Entry& entry, const std::string& path) {
  auto parent = tree_.make_folder(parent_of(path));
  if (!parent) return parent.take_failure();
  const SharedFd held = *parent;
  const std::string name(base_of(path));
  bool made = mkdirat(held->get(), name.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return failed("mkdir");
  sys::Fd fd(openat(held->get(), name.c_str(), kOpenFolder));
  bool replaced = false;
  if (!fd) {
    // ELOOP: a symlink, as O_NOFOLLOW reports it on some file systems.
    if (made || (errno != ENOTDIR && errno != ELOOP)) return failed("open");
    auto again =
        replacing(tree_, held->get(), name, &replaced, [&] { return mkdirat(held->get(), name.c_str(), 0700); });
    if (!again) return again.take_failure();
    if (*again != 0) return failed("mkdir");
    made = true;
    fd.reset(openat(held->get(), name.c_str(), kOpenFolder));
    if (!fd) return failed("open");
  }
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return failed("stat");
  if (made) {
    Folder& noted = tree_.note(status.st_ino, real_path(held->get(), name, path));
    // What it replaced had already hidden whatever lower layers have under this name.
    noted.opaque = replaced;
  }
  SYS_TRY(give_attributes(fd.get(), entry, tree_.folders()[status.st_ino]));
  tree_.remember(path, std::make_shared<const sys::Fd>(std::move(fd)));
  return {};
}

// `path` may lead through links of this layer, which later entries can replace.
std::string Writer::real_path(int parent, const std::string& name, const std::string& path) const {
  struct stat status = {};
  if (fstat(parent, &status) != 0) return path;
  const auto known = tree_.folders().find(status.st_ino);
  if (known == tree_.folders().end()) return path;
  return known->second.path.empty() ? name : known->second.path + "/" + name;
}

sys::Result<void> Writer::give_attributes(int fd, const Entry& entry, Folder& folder) {
  // An entry came before this one and may have left attributes that this one does not have.
  if (!folder.implicit) SYS_TRY(Metadata::clear_xattrs(fd));
  folder.implicit = false;
  folder.accessed = entry.accessed;
  folder.modified = entry.modified;
  folder.default_acl.reset();
  // Without privilege a folder that its owner may not write could take no children.
  folder.mode = privileged_ ? std::nullopt : std::optional<uint32_t>(entry.mode);
  return metadata_.start_folder(fd, entry, privileged_ ? entry.mode : entry.mode | 0700, folder.default_acl);
}

// O_EXCL, never O_TRUNC: truncating an inode would empty its other names too.
sys::Result<void> Writer::add_file(const Entry& entry, int folder, const std::string& name, TarReader& data) {
  auto opened = replacing(tree_, folder, name, nullptr, [&] {
    return openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  });
  if (!opened) return opened.take_failure();
  if (*opened < 0) return failed("create");
  sys::Fd fd(*opened);
  while (true) {
    auto piece = data.data();
    if (!piece) return piece.take_failure();
    if (piece->bytes.empty()) break;
    SYS_TRY(write_piece(fd.get(), *piece));
  }
  if (entry.sparse && ftruncate(fd.get(), static_cast<off_t>(entry.size)) != 0) return failed("truncate");
  SYS_TRY(metadata_.finish_file(fd.get(), entry));
  // Some file systems tell of a failed write or a full quota only here.
  if (close(fd.release()) != 0 && errno != EINTR) return failed("close");
  return {};
}

// The target is kept byte for byte, wherever it points: it means something inside the container only.
sys::Result<void> Writer::add_symlink(const Entry& entry, int folder, const std::string& name) {
  if (entry.link.empty()) return refuse("a symlink without target");
  auto made =
      replacing(tree_, folder, name, nullptr, [&] { return symlinkat(entry.link.c_str(), folder, name.c_str()); });
  if (!made) return made.take_failure();
  if (*made != 0) return failed("symlink");
  return metadata_.finish_node(folder, name, entry);
}

sys::Result<void> Writer::add_node(const Entry& entry, int folder, const std::string& name) {
  const bool character = entry.type == EntryType::kCharDevice;
  const bool device = character || entry.type == EntryType::kBlockDevice;
  // It would be a whiteout that no check of whiteouts has seen.
  if (character && entry.device_major == 0 && entry.device_minor == 0)
    return refuse("character device 0:0 is overlayfs's whiteout");
  const mode_t type = character ? S_IFCHR : device ? S_IFBLK : S_IFIFO;
  auto made = replacing(tree_, folder, name, nullptr, [&] {
    return mknodat(folder, name.c_str(), type | entry.mode, makedev(entry.device_major, entry.device_minor));
  });
  if (!made) return made.take_failure();
  if (*made != 0) {
    if (!device || errno != EPERM || !options_.userxattr) return failed("mknod");
    // No user namespace may make devices; the container gets its own /dev. A plain file in its place would be worse
    // than none.
    skipped_devices_++;
    warnings_.add("device left out: " + printable(entry.name));
    return {};
  }
  return metadata_.finish_node(folder, name, entry);
}

sys::Result<void> Writer::add_hardlink(const Entry& entry, const std::string& path) {
  auto target = clean_name(entry.link, options_.max_depth);
  if (!target) return target.take_failure();
  auto kind = classify_name(*target);
  if (!kind) return kind.take_failure();
  if (target->empty() || *kind != NameKind::kOrdinary) return refuse("a hardlink to the root or to a whiteout");
  return hardlinks_.add(path, *target);
}

}  // namespace layer
