#include "layer/hardlinks.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "layer/name.h"

namespace layer {
namespace {

bool absent(int err) { return err == ENOENT || err == ENOTDIR; }

sys::Error failed(std::string message, const std::string& path, int err = errno) {
  sys::Error failure = sys::error("extract", std::move(message), err);
  failure.path = printable(path);
  return failure;
}

}  // namespace

sys::Result<void> Hardlinks::add(const std::string& path, const std::string& target) {
  auto folder = tree_.make_folder(parent_of(path));
  if (!folder) return folder.take_failure();
  auto outcome = link((*folder)->get(), path, target);
  if (!outcome) return outcome.take_failure();
  if (*outcome == Outcome::kDone) return {};
  if (path == target) return failed("a hardlink to itself", path, ENOENT);
  // The name is the link's from now on, even if nothing is there yet.
  auto removed = tree_.remove((*folder)->get(), std::string(base_of(path)));
  if (!removed) return removed.take_failure();
  waiting_.push_back({path, target});
  return {};
}

sys::Result<Hardlinks::Outcome> Hardlinks::link(int folder, const std::string& path, const std::string& target) {
  const std::string name(base_of(path));
  const std::string target_name(base_of(target));
  auto target_folder = tree_.find_folder(parent_of(target));
  if (!target_folder) {
    if (absent(target_folder.failure().err)) return Outcome::kNoTarget;
    return target_folder.take_failure();
  }
  const SharedFd held = *target_folder;
  for (int attempt = 0; attempt < 2; attempt++) {
    if (linkat(held->get(), target_name.c_str(), folder, name.c_str(), 0) == 0) return Outcome::kDone;
    if (absent(errno)) return Outcome::kNoTarget;
    if (errno != EEXIST) break;
    struct stat source = {};
    struct stat there = {};
    if (fstatat(held->get(), target_name.c_str(), &source, AT_SYMLINK_NOFOLLOW) != 0) {
      if (absent(errno)) return Outcome::kNoTarget;
      return failed("hardlink to " + printable(target), path);
    }
    if (S_ISDIR(source.st_mode)) return failed("hardlink to a folder: " + printable(target), path, EPERM);
    if (fstatat(folder, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == source.st_ino)
      return Outcome::kDone;
    auto removed = tree_.remove(folder, name);
    if (!removed) return removed.take_failure();
  }
  if (errno == EPERM)
    return failed("hardlink to a folder, or to a file that can't have another: " + printable(target), path, EPERM);
  return failed("hardlink to " + printable(target), path);
}

sys::Result<bool> Hardlinks::still_wanted(const LowerLink& link, SharedFd& folder) {
  auto found = tree_.find_folder(parent_of(link.path));
  if (!found) {
    if (absent(found.failure().err)) return false;
    return found.take_failure();
  }
  folder = *found;
  struct stat status = {};
  if (fstatat(folder->get(), std::string(base_of(link.path)).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return true;
    return failed("stat", link.path);
  }
  if (S_ISDIR(status.st_mode)) {
    // The folder came after the link, which had replaced whatever lower layers have here.
    const auto known = tree_.folders().find(status.st_ino);
    if (known != tree_.folders().end()) {
      known->second.opaque = true;
      known->second.implicit = false;
    }
  }
  return false;
}

sys::Result<std::vector<LowerLink>> Hardlinks::finish() {
  // A target may itself wait for one that comes later: again, as long as it helps.
  for (size_t before = waiting_.size() + 1; waiting_.size() < before;) {
    before = waiting_.size();
    std::vector<LowerLink> remaining;
    for (LowerLink& waiting : waiting_) {
      SharedFd folder;
      auto wanted = still_wanted(waiting, folder);
      if (!wanted) return wanted.take_failure();
      if (!*wanted) continue;
      auto outcome = link(folder->get(), waiting.path, waiting.target);
      if (!outcome) return outcome.take_failure();
      if (*outcome == Outcome::kNoTarget) remaining.push_back(std::move(waiting));
    }
    waiting_ = std::move(remaining);
  }
  return std::move(waiting_);
}

}  // namespace layer
