#include "supervisor/hosts_file.h"

#include "supervisor/mounted_file.h"

namespace supervisor {
namespace {

constexpr std::string_view kHostNames = "\thost.dinghy.internal host.docker.internal";

std::string line_of(const std::string& address, const std::string& name) { return address + "\t" + name; }

bool has_line(std::string_view text, std::string_view line) {
  bool found = false;
  for_each_line(text, [&](std::string_view each, bool) { found = found || each == line; });
  return found;
}

}  // namespace

std::string without_line(std::string_view text, std::string_view line) {
  std::string rest;
  for_each_line(text, [&](std::string_view each, bool ended) {
    if (each == line) return;
    rest += each;
    if (ended) rest += '\n';
  });
  return rest;
}

std::string with_host_at(std::string_view text, std::string_view address) {
  std::string_view from;
  for_each_line(text, [&](std::string_view each, bool) {
    if (from.empty() && each.ends_with(kHostNames)) from = each.substr(0, each.size() - kHostNames.size());
  });
  if (from.empty()) return std::string(text);
  std::string moved;
  for_each_line(text, [&](std::string_view each, bool ended) {
    const bool is_there = each.size() > from.size() && each.starts_with(from) && each[from.size()] == '\t';
    if (is_there) {
      moved += address;
      each.remove_prefix(from.size());
    }
    moved += each;
    if (ended) moved += '\n';
  });
  return moved;
}

sys::Result<void> HostsFile::add(const std::string& address, const std::string& name) const {
  const std::string line = line_of(address, name);
  return edit_in_place(path_, [&](const std::string& text) {
    if (has_line(text, line)) return text;
    const bool ended = text.empty() || text.back() == '\n';
    return text + (ended ? "" : "\n") + line + "\n";
  });
}

sys::Result<void> HostsFile::remove(const std::string& address, const std::string& name) const {
  const std::string line = line_of(address, name);
  return edit_in_place(path_, [&](const std::string& text) { return without_line(text, line); });
}

sys::Result<void> HostsFile::move_host(const std::string& address) const {
  return edit_in_place(path_, [&](const std::string& text) { return with_host_at(text, address); });
}

}  // namespace supervisor
