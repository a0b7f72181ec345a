#include "supervisor/volume_users.h"

#include <unistd.h>

#include <cerrno>

#include "sys/tree.h"

namespace supervisor {
namespace {

sys::Result<uint64_t> leave(const std::string& folder, const std::string& container, bool keep, bool measure) {
  const std::string users = folder + "/users";
  const std::string own = users + "/" + container;
  if (unlink(own.c_str()) != 0 && errno != ENOENT) return sys::errno_error("unlink", own);
  if (keep) return 0;
  // ENOENT: somebody who was the last before was killed before the volume was gone.
  if (rmdir(users.c_str()) != 0 && errno != ENOENT) {
    if (errno == ENOTEMPTY || errno == EEXIST) return 0;
    return sys::errno_error("rmdir", users);
  }
  return sys::remove_tree(folder, measure);
}

}  // namespace

AnonymousVolumes parse_anonymous_volumes(sys::JsonReader& reader, const sys::Json* parent) {
  const sys::Json* section = reader.object(parent, "anonymousVolumes");
  return {reader.texts(section, "folders"), reader.flag(section, "keep")};
}

sys::Result<uint64_t> leave_volumes(const AnonymousVolumes& volumes, const std::string& container, bool measure) {
  uint64_t freed = 0;
  sys::Result<void> first;
  for (const std::string& folder : volumes.folders) {
    auto left = leave(folder, container, volumes.keep, measure);
    if (left) {
      freed += *left;
    } else if (first) {
      first = left.take_failure();
    }
  }
  if (!first) return first.take_failure();
  return freed;
}

}  // namespace supervisor
