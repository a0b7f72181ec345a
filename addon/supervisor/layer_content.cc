#include "supervisor/layer_content.h"

#include "layer/attributes.h"
#include "sys/folder.h"

namespace supervisor {
namespace {

bool same(const layer::Attributes& a, const layer::Attributes& b) {
  return a.status.st_mode == b.status.st_mode && a.status.st_uid == b.status.st_uid &&
         a.status.st_gid == b.status.st_gid && a.xattrs == b.xattrs;
}

}  // namespace

sys::Result<bool> says_something(int folder, int below, const char* step) {
  auto names = sys::folder_names(folder, step);
  if (!names) return names.take_failure();
  if (!names->empty()) return true;
  if (below < 0) return false;
  auto own = layer::attributes_of(folder, step, "");
  if (!own) return own.take_failure();
  auto other = layer::attributes_of(below, step, "");
  if (!other) return other.take_failure();
  return !same(*own, *other);
}

}  // namespace supervisor
