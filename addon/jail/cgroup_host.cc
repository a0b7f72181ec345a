#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "jail/cgroup.h"
#include "jail/cgroup_files.h"
#include "sys/small_file.h"

namespace jail {

// Names that appear as options of a v1 mount and are controllers.
constexpr std::string_view kV1Controllers[] = {
    "memory",  "pids",    "cpu",     "cpuacct",    "cpuset",  "blkio",
    "devices", "freezer", "hugetlb", "perf_event", "net_cls", "net_prio",
};

std::vector<std::string> split_words(std::string_view text, char separator) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    const std::string_view word = text.substr(0, end);
    if (!word.empty()) words.emplace_back(word);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return words;
}

namespace {

// proc(5): space, tab, newline and backslash are written as three octal digits.
std::string unescape(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

bool is_writable(const std::string& mount_point) {
  struct statvfs info {};
  return statvfs(mount_point.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) == 0;
}

// "id parent major:minor root mount-point options optional… - type source super-options"
bool read_hierarchy(const std::string& line, Hierarchy& hierarchy) {
  const size_t separator = line.find(" - ");
  if (separator == std::string::npos) return false;
  const std::vector<std::string> before = split_words(std::string_view(line).substr(0, separator), ' ');
  const std::vector<std::string> after = split_words(std::string_view(line).substr(separator + 3), ' ');
  if (before.size() < 5 || after.size() < 3 || (after[0] != "cgroup" && after[0] != "cgroup2")) return false;
  hierarchy.mount_point = unescape(before[4]);
  hierarchy.v2 = after[0] == "cgroup2";
  hierarchy.writable = is_writable(hierarchy.mount_point);
  if (hierarchy.v2) {
    auto controllers = sys::read_file(hierarchy.mount_point + "/cgroup.controllers", kMaxCgroupFile);
    if (!controllers) return true;
    while (!controllers->empty() && controllers->back() == '\n') controllers->pop_back();
    hierarchy.controllers = split_words(*controllers, ' ');
    return true;
  }
  for (const std::string& option : split_words(after[2], ',')) {
    if (std::find(std::begin(kV1Controllers), std::end(kV1Controllers), option) != std::end(kV1Controllers)) {
      hierarchy.controllers.push_back(option);
    }
  }
  return !hierarchy.controllers.empty();
}

}  // namespace

bool Hierarchy::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

sys::Result<CgroupHost> CgroupHost::detect() {
  constexpr size_t kMaxMountinfo = size_t{16} << 20U;
  auto text = sys::read_file("/proc/self/mountinfo", kMaxMountinfo);
  if (!text) return text.take_failure();
  CgroupHost host;
  for (const std::string& line : split_words(*text, '\n')) {
    Hierarchy hierarchy;
    if (!read_hierarchy(line, hierarchy)) continue;
    // The same hierarchy may be mounted more than once; the first is the host's own.
    const auto same = [&](const Hierarchy& known) {
      return known.v2 == hierarchy.v2 && (known.v2 || known.controllers == hierarchy.controllers);
    };
    if (std::none_of(host.hierarchies.begin(), host.hierarchies.end(), same))
      host.hierarchies.push_back(std::move(hierarchy));
  }
  return host;
}

const Hierarchy* CgroupHost::v2() const {
  for (const Hierarchy& hierarchy : hierarchies) {
    if (hierarchy.v2) return &hierarchy;
  }
  return nullptr;
}

const Hierarchy* CgroupHost::find(std::string_view controller) const {
  const Hierarchy* unified = v2();
  if (unified != nullptr && unified->has(controller == "blkio" ? "io" : controller)) return unified;
  for (const Hierarchy& hierarchy : hierarchies) {
    if (!hierarchy.v2 && hierarchy.has(controller == "io" ? "blkio" : controller)) return &hierarchy;
  }
  return nullptr;
}

}  // namespace jail
