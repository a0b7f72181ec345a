#include "supervisor/mapped_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <set>

#include "jail/cgroup_tree.h"
#include "sys/kernel.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr size_t kMaxMaps = size_t{64} << 20U;
constexpr std::string_view kDeleted = " (deleted)";
constexpr size_t kSharedAt = 3;  // in "rw-s"

// The text up to the next space, which it is shortened by, with the spaces that follow.
std::string_view next_field(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view field = line.substr(0, end);
  line.remove_prefix(std::min(line.find_first_not_of(' ', end), line.size()));
  return field;
}

// The kernel writes a newline in a path as \012, and nothing else so.
std::string with_newlines(std::string_view path) {
  std::string text(path);
  for (size_t at = text.find("\\012"); at != std::string::npos; at = text.find("\\012", at + 1))
    text.replace(at, 4, "\n");
  return text;
}

void add_by_path(int upper, const std::string& path, std::set<ino_t>& inodes) {
  if (path.empty()) return;
  const sys::Fd fd(sys::openat2(upper, path.c_str(), O_PATH | O_NOFOLLOW,
                                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
  struct stat status = {};
  if (fd && fstat(fd.get(), &status) == 0) inodes.insert(status.st_ino);
}

}  // namespace

std::vector<MappedFile> shared_mappings(std::string_view maps) {
  std::vector<MappedFile> files;
  while (!maps.empty()) {
    const size_t end = std::min(maps.find('\n'), maps.size());
    std::string_view line = maps.substr(0, end);
    maps.remove_prefix(std::min(end + 1, maps.size()));
    next_field(line);  // addresses
    const std::string_view permissions = next_field(line);
    next_field(line);  // offset
    next_field(line);  // device
    const std::string_view inode = next_field(line);
    if (permissions.size() <= kSharedAt || permissions[kSharedAt] != 's' || !line.starts_with('/')) continue;
    MappedFile file;
    const auto parsed = std::from_chars(inode.data(), inode.data() + inode.size(), file.inode);
    if (parsed.ec != std::errc() || file.inode == 0) continue;
    file.path = line.substr(1);
    files.push_back(std::move(file));
  }
  return files;
}

// By its number, which is an overlay's own for some files, and by its path, which can be another's. A file that is in
// neither way found is doubted in vain or not in this folder.
layer::Doubts doubtful_files(const std::vector<sys::Fd>& cgroup_folders, int proc, int upper) {
  layer::Doubts doubts;
  std::set<pid_t> processes;
  for (const sys::Fd& folder : cgroup_folders) {
    const auto found = jail::cgroup_processes(folder.get(), true);
    processes.insert(found.begin(), found.end());
  }
  for (const pid_t pid : processes) {
    auto maps = sys::read_file(proc, (std::to_string(pid) + "/maps").c_str(), kMaxMaps);
    if (!maps) {
      const int err = maps.failure().err;
      // It has been killed meanwhile.
      if (err == ENOENT || err == ESRCH) continue;
      doubts.all = true;
      return doubts;
    }
    for (const MappedFile& file : shared_mappings(*maps)) {
      doubts.inodes.insert(file.inode);
      std::string_view path = file.path;
      for (const bool deleted : {false, true}) {
        if (deleted && !path.ends_with(kDeleted)) break;
        if (deleted) path.remove_suffix(kDeleted.size());
        add_by_path(upper, std::string(path), doubts.inodes);
        add_by_path(upper, with_newlines(path), doubts.inodes);
      }
    }
  }
  return doubts;
}

}  // namespace supervisor
