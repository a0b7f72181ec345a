#include "layer/layer_form.h"

#include <algorithm>

#include "layer/name.h"
#include "layer/pack_file.h"
#include "layer/start_places.h"

namespace layer {
namespace {

constexpr const char* kStep = "read tree";
constexpr const char* kWhiteoutPrefix = ".wh.";
constexpr const char* kOpaqueName = ".wh..wh..opq";

// An empty file, of which nothing counts but the name; the same mark gives the same bytes.
Entry marker(std::string name, const struct stat& status) {
  Entry entry;
  entry.name = std::move(name);
  entry.modified = {status.st_mtim.tv_sec, static_cast<uint32_t>(status.st_mtim.tv_nsec)};
  return entry;
}

sys::Result<std::vector<Xattr>> xattrs_of(int fd) {
  Entry entry;
  Warnings unused;
  SYS_TRY(read_xattrs(fd, entry, unused));
  return std::move(entry.xattrs);
}

// Two folders' modes, owners and attributes; their times are those of what was put into them.
sys::Result<bool> same_attributes(int one, int other) {
  struct stat first {};
  struct stat second {};
  if (fstat(one, &first) != 0 || fstat(other, &second) != 0) return sys::errno_error(kStep);
  if (first.st_mode != second.st_mode || first.st_uid != second.st_uid || first.st_gid != second.st_gid) return false;
  auto here = xattrs_of(one);
  if (!here) return here.take_failure();
  auto there = xattrs_of(other);
  if (!there) return there.take_failure();
  return std::equal(here->begin(), here->end(), there->begin(), there->end(),
                    [](const Xattr& a, const Xattr& b) { return a.name == b.name && a.value == b.value; });
}

}  // namespace

sys::Result<void> LayerForm::check_name(const std::string& name, const std::string& path) {
  if (!name.starts_with(kWhiteoutPrefix)) return {};
  sys::Error failure = sys::error(kStep, "no layer can carry a name that begins with .wh.: rename or remove it");
  failure.path = printable(path);
  return failure;
}

Entry LayerForm::whiteout(const std::string& path, const struct stat& mark) {
  const size_t base = path.rfind('/') + 1;  // npos + 1: 0
  return marker(path.substr(0, base) + kWhiteoutPrefix + path.substr(base), mark);
}

Entry LayerForm::opaque(const std::string& path, const struct stat& folder) {
  return marker(path + "/" + kOpaqueName, folder);
}

sys::Result<bool> LayerForm::is_place(const std::string& path, const struct stat& status, int fd) const {
  if (!made_by_start(path, status)) return false;
  auto folder = below_.folder(parent_of(path));
  if (!folder) return sys::errno_error(kStep, printable(path), folder.failure().err);
  if (folder->empty()) return true;
  auto entry = Stack::look_up(*folder, std::string(base_of(path)));
  if (!entry) return sys::errno_error(kStep, printable(path), entry.failure().err);
  if (entry->folder.empty()) return !entry->other.parent;
  return fd < 0 ? sys::Result<bool>(false) : same_attributes(fd, entry->folder.front().fd->get());
}

sys::Result<bool> LayerForm::same_root(int upper) const {
  auto root = below_.folder("");
  if (!root) return sys::errno_error(kStep, "/", root.failure().err);
  return root->empty() ? sys::Result<bool>(false) : same_attributes(upper, root->front().fd->get());
}

}  // namespace layer
