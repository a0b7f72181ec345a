#include "net/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <functional>
#include <set>
#include <string_view>

#include "sys/fd.h"

namespace net {
namespace {

std::string read_file(const std::string& path) {
  std::string content;
  sys::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 16384> buffer;
  for (ssize_t n = 0; fd && (n = read(fd.get(), buffer.data(), buffer.size())) > 0;) content.append(buffer.data(), n);
  return content;
}

std::string_view field(std::string_view line, int wanted) {
  for (int i = 0;; i++) {
    auto start = line.find_first_not_of(' ');
    if (start == std::string_view::npos) return {};
    line.remove_prefix(start);
    auto end = line.find(' ');
    if (i == wanted) return line.substr(0, end);
    if (end == std::string_view::npos) return {};
    line.remove_prefix(end);
  }
}

// Adds the inodes of sockets bound to the port: of /proc/net/tcp's lines those in state 0A (LISTEN), of udp's all.
void collect_inodes(const char* table, std::uint16_t port, bool listening_only, std::set<std::string>& inodes) {
  std::string content = read_file(table);
  std::string_view rest = content;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    std::string_view local = field(line, 1);
    auto colon = local.rfind(':');
    if (colon == std::string_view::npos) continue;
    unsigned number = 0;
    std::from_chars(local.begin() + colon + 1, local.end(), number, 16);
    if (number != port || (listening_only && field(line, 3) != "0A")) continue;
    inodes.emplace("socket:[" + std::string(field(line, 9)) + "]");
  }
}

bool holds(const std::string& process, const std::set<std::string>& sockets) {
  DIR* folder = opendir((process + "/fd").c_str());
  if (!folder) return false;
  bool found = false;
  while (dirent* entry = found ? nullptr : readdir(folder)) {
    std::array<char, 64> target{};
    ssize_t size = readlinkat(dirfd(folder), entry->d_name, target.data(), target.size());
    found = size > 0 && sockets.count(std::string(target.data(), static_cast<std::size_t>(size))) > 0;
  }
  closedir(folder);
  return found;
}

}  // namespace

std::string port_holder(std::uint16_t port, bool is_udp) {
  std::set<std::string> sockets;
  collect_inodes(is_udp ? "/proc/net/udp" : "/proc/net/tcp", port, !is_udp, sockets);
  collect_inodes(is_udp ? "/proc/net/udp6" : "/proc/net/tcp6", port, !is_udp, sockets);
  DIR* processes = sockets.empty() ? nullptr : opendir("/proc");
  if (!processes) return {};
  std::string holder;
  while (dirent* entry = holder.empty() ? readdir(processes) : nullptr) {
    if (!isdigit(static_cast<unsigned char>(entry->d_name[0]))) continue;
    std::string process = std::string("/proc/") + entry->d_name;
    if (!holds(process, sockets)) continue;
    std::string name = read_file(process + "/comm");
    holder = name.substr(0, name.find('\n')) + " (pid " + entry->d_name + ")";
  }
  closedir(processes);
  return holder;
}

}  // namespace net
