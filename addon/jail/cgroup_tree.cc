#include "jail/cgroup_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "jail/cgroup_files.h"
#include "sys/small_file.h"

namespace jail {
namespace {

// Another container's removal may take an empty parent away between our making it and our using it.
constexpr int kMaxAttempts = 20;
// A container may nest cgroups as deep as it likes, up to cgroup.max.depth.
constexpr int kMaxDepth = 64;

constexpr std::string_view kStatistics[] = {"cpu", "cpuset", "io", "memory", "pids"};

std::vector<std::string> subfolders(int folder) {
  std::vector<std::string> names;
  sys::Fd fd(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return names;
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return names;
  (void)fd.release();
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      names.emplace_back(entry->d_name);
    }
  }
  closedir(stream);
  return names;
}

sys::Result<void> enable_controllers(int parent, const std::string& where, const Hierarchy& hierarchy,
                                     const std::vector<std::string>& needed) {
  auto text = sys::read_file(parent, "cgroup.subtree_control", kMaxCgroupFile);
  if (!text) return text.take_failure();
  std::replace(text->begin(), text->end(), '\n', ' ');
  const std::vector<std::string> enabled = split_words(*text, ' ');
  for (const std::string& controller : hierarchy.controllers) {
    if (std::find(enabled.begin(), enabled.end(), controller) != enabled.end()) continue;
    const bool is_needed = std::find(needed.begin(), needed.end(), controller) != needed.end();
    if (!is_needed && std::find(std::begin(kStatistics), std::end(kStatistics), controller) == std::end(kStatistics)) {
      continue;
    }
    auto written = sys::write_knob(parent, "cgroup.subtree_control", "+" + controller);
    if (written || !is_needed) continue;
    sys::Error failure = written.take_failure();
    failure.step = "cgroup controller " + controller;
    failure.path = where;
    if (failure.err == EBUSY) {
      failure.message.append("cannot enable the cgroup controller '").append(controller);
      failure.message.append("': processes live in ").append(where);
      failure.message.append("; move them into a child cgroup first");
    }
    return failure;
  }
  return {};
}

// A new v1 cpuset is empty, and nothing can join an empty one.
sys::Result<void> inherit_cpuset(int parent, int child) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    auto own = sys::read_file(child, file, kMaxCgroupFile);
    if (!own) return own.take_failure();
    if (own->find_first_not_of(" \n") != std::string::npos) continue;
    auto inherited = sys::read_file(parent, file, kMaxCgroupFile);
    if (!inherited) return inherited.take_failure();
    SYS_TRY(sys::write_knob(child, file, *inherited));
  }
  return {};
}

sys::Result<sys::Fd> open_folder(int parent, const char* name) {
  return sys::open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

sys::Result<sys::Fd> make_once(const Hierarchy& hierarchy, const std::vector<std::string>& parts,
                               const std::vector<std::string>& needed) {
  auto folder = open_folder(AT_FDCWD, hierarchy.mount_point.c_str());
  if (!folder) return folder.take_failure();
  std::string where = hierarchy.mount_point;
  for (const std::string& part : parts) {
    if (hierarchy.v2) SYS_TRY(enable_controllers(folder->get(), where, hierarchy, needed));
    where += "/" + part;
    if (mkdirat(folder->get(), part.c_str(), 0755) != 0 && errno != EEXIST)
      return sys::errno_error("make cgroup", where);
    auto child = open_folder(folder->get(), part.c_str());
    if (!child) return child.take_failure();
    if (!hierarchy.v2 && hierarchy.has("cpuset")) SYS_TRY(inherit_cpuset(folder->get(), child->get()));
    *folder = std::move(*child);
  }
  return folder;
}

void collect(int folder, int depth, std::vector<pid_t>& pids) {
  auto text = sys::read_file(folder, "cgroup.procs", kMaxCgroupFile);
  if (text) {
    for (const std::string& line : split_words(*text, '\n')) {
      const long pid = strtol(line.c_str(), nullptr, 10);
      if (pid > 0) pids.push_back(static_cast<pid_t>(pid));
    }
  }
  if (depth == 0) return;
  for (const std::string& name : subfolders(folder)) {
    auto child = open_folder(folder, name.c_str());
    if (child) collect(child->get(), depth - 1, pids);
  }
}

sys::Result<void> remove_below(int folder, int depth) {
  if (depth == 0) return sys::errno_error("remove cgroup", {}, ENAMETOOLONG);
  for (const std::string& name : subfolders(folder)) {
    auto child = open_folder(folder, name.c_str());
    if (child) SYS_TRY(remove_below(child->get(), depth - 1));
    if (unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      return sys::errno_error("remove cgroup", name);
  }
  return {};
}

}  // namespace

sys::Result<sys::Fd> make_cgroup_folder(const Hierarchy& hierarchy, const std::string& path,
                                        const std::vector<std::string>& needed) {
  const std::vector<std::string> parts = split_words(path, '/');
  for (int attempt = 1;; attempt++) {
    auto folder = make_once(hierarchy, parts, needed);
    if (folder) return folder;
    const int err = folder.failure().err;
    if ((err != ENOENT && err != ENODEV) || attempt == kMaxAttempts) return folder;
  }
}

sys::Result<void> remove_cgroup_folder(int parent, const std::string& name) {
  // The usual case needs one call.
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  auto folder = open_folder(parent, name.c_str());
  if (!folder) {
    if (folder.failure().err == ENOENT) return {};
    return folder.take_failure();
  }
  SYS_TRY(remove_below(folder->get(), kMaxDepth));
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return sys::errno_error("remove cgroup", name);
  return {};
}

void remove_empty_parents(const std::string& mount_point, std::string path) {
  for (size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0; slash = path.rfind('/')) {
    path.resize(slash);
    if (rmdir((mount_point + path).c_str()) != 0) return;
  }
}

std::vector<pid_t> cgroup_processes(int folder, bool recursive) {
  std::vector<pid_t> pids;
  collect(folder, recursive ? kMaxDepth : 0, pids);
  return pids;
}

uint64_t read_keyed(int folder, const char* file, std::string_view key, uint64_t fallback) {
  auto text = sys::read_file(folder, file, kMaxCgroupFile);
  if (!text) return fallback;
  for (const std::string& line : split_words(*text, '\n')) {
    if (line.size() > key.size() && line[key.size()] == ' ' && line.compare(0, key.size(), key) == 0) {
      return strtoull(line.c_str() + key.size() + 1, nullptr, 10);
    }
  }
  return fallback;
}

}  // namespace jail
