#include "jail/cwd.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "jail/target.h"

namespace jail {
namespace {

sys::Error cwd_error(const std::string& cwd, int err) {
  sys::Error failure = sys::errno_error("chdir", cwd, err);
  failure.message = "cannot use '" + cwd + "' as the working directory: " + strerror(err);
  failure.exit_code = err == ENOENT || err == ENOTDIR ? 127 : 126;
  return failure;
}

}  // namespace

sys::Result<void> create_cwd(int root, const std::string& cwd) {
  auto made = make_target(root, cwd, TargetKind::kFolder);
  if (made) return {};
  // A file system that looks different from the inside, such as /proc/self: entering it will tell.
  if (made.failure().err == ELOOP || made.failure().err == EXDEV) return {};
  return cwd_error(cwd, made.failure().err);
}

sys::Result<void> enter_cwd(const std::string& cwd) {
  // As that user: the folder may be private to it, or closed to it.
  if (chdir(cwd.c_str()) != 0) return cwd_error(cwd, errno);
  // A descriptor that leaked in from the host would make a working directory outside of the root possible, by way of
  // /proc/self/fd (CVE-2024-21626). getcwd(2) tells: the path then starts with "(unreachable)".
  char path[PATH_MAX];
  if (getcwd(path, sizeof path) == nullptr) return cwd_error(cwd, errno);
  if (path[0] == '/') return {};
  sys::Error failure = cwd_error(cwd, ENOENT);
  failure.message = "the working directory '" + cwd + "' leads outside of the container";
  return failure;
}

}  // namespace jail
