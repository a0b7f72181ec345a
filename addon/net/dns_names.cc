#include "net/dns_names.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "sys/small_file.h"

namespace net {
namespace {

constexpr std::size_t kMaxFile = 16384;         // a name has 255 bytes at most
constexpr std::size_t kMaxEntries = 65536;      // no network of ours has more addresses
constexpr int kMaxReplaced = 8;                 // times in a row: whoever does that lives
constexpr std::int64_t kCoarseNs = 50'000'000;  // file systems keep time in ticks of the kernel: 10 ms at most

bool same(const timespec& one, const timespec& other) {
  return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end != 0) lines.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

}  // namespace

bool NameFolder::Version::operator==(const struct stat& info) const {
  return inode == info.st_ino && same(modified, info.st_mtim) && same(changed, info.st_ctim);
}

NameFolder::NameFolder(sys::Fd folder, std::string network)
    : folder_(std::move(folder)), network_(std::move(network)), suffix_("." + lower(network_)) {}

std::vector<Address> NameFolder::find(std::string_view name) {
  refresh();
  std::vector<Address> found;
  const auto collect = [&](std::string_view wanted) {
    const auto [first, last] = by_name_.equal_range(std::string(wanted));
    for (auto at = first; at != last; ++at) {
      if (lives(entries_[at->second])) found.push_back(at->second);
    }
  };
  collect(name);
  if (found.empty() && name.size() > suffix_.size() && name.ends_with(suffix_)) {
    collect(name.substr(0, name.size() - suffix_.size()));
  }
  return found;
}

std::string NameFolder::name_of(const Address& address) {
  refresh();
  const auto entry = entries_.find(address);
  if (entry == entries_.end() || entry->second.names.empty() || !lives(entry->second)) return {};
  return entry->second.names.front() + "." + network_;
}

// No watch of the kernel's (inotify(7)): each would wake every resolver of the network at every start, and a host has
// 128 of them for all containers. A question costs one fstat when nothing has changed.
void NameFolder::refresh() {
  struct stat info {};
  if (fstat(folder_.get(), &info) != 0) return;
  if (is_settled_ && same(info.st_mtim, seen_)) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  read_folder();
  // A second change within one tick leaves the folder's time as it is: what was read so soon after the first is read
  // again by the next question.
  is_settled_ = nanoseconds(now) - nanoseconds(info.st_mtim) > kCoarseNs;
  seen_ = info.st_mtim;
}

void NameFolder::read_folder() {
  // A description of its own: duplicates share the position.
  const int fd = openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = fd >= 0 ? fdopendir(fd) : nullptr;
  if (folder == nullptr) return;
  std::map<Address, Entry> entries;
  while (const dirent* found = readdir(folder)) {
    const auto address = parse_any_address(found->d_name);  // anything else is a draft of a file, or none of ours
    if (!address || entries.size() >= kMaxEntries) continue;
    const auto known = entries_.find(*address);
    Entry entry = known != entries_.end() ? std::move(known->second) : Entry();
    if (read_entry(found->d_name, entry)) entries.emplace(*address, std::move(entry));
  }
  closedir(folder);
  entries_ = std::move(entries);
  index_names();
}

// `entry` is what the file says now; false when it is gone, or cannot be read.
bool NameFolder::read_entry(const std::string& file, Entry& entry) const {
  struct stat info {};
  if (fstatat(folder_.get(), file.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (entry.version == info) return true;
  auto opened = sys::open(folder_.get(), file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!opened || fstat(opened->get(), &info) != 0) return false;
  auto text = sys::read_opened(opened->get(), file, kMaxFile);
  if (!text) return false;
  entry.file = file;
  entry.version = {info.st_ino, info.st_mtim, info.st_ctim};
  entry.names = lines_of(*text);
  return true;
}

// The supervisor's lock is exclusive, and a shared one of several resolvers that look at once is none of each other's.
bool NameFolder::lives(const Entry& entry) const {
  for (int attempt = 0; attempt < kMaxReplaced; attempt++) {
    auto file = sys::open(folder_.get(), entry.file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return false;
    if (flock(file->get(), LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
    // Nobody's, or replaced by one with other names since it was opened.
    struct stat opened {};
    struct stat present {};
    if (fstat(file->get(), &opened) != 0 || fstatat(folder_.get(), entry.file.c_str(), &present, 0) != 0) return false;
    if (opened.st_ino == present.st_ino) return false;
  }
  return true;
}

void NameFolder::index_names() {
  by_name_.clear();
  for (const auto& [address, entry] : entries_) {
    std::set<std::string> once;
    for (const std::string& name : entry.names) once.insert(lower(name));
    for (const std::string& name : once) by_name_.emplace(name, address);
  }
}

}  // namespace net
