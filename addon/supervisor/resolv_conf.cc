#include "supervisor/resolv_conf.h"

#include "net/inside.h"
#include "supervisor/mounted_file.h"

namespace supervisor {
namespace {

bool is_entry(std::string_view line, std::string_view keyword) {
  return line.size() > keyword.size() && line.starts_with(keyword) &&
         (line[keyword.size()] == ' ' || line[keyword.size()] == '\t');
}

}  // namespace

std::string asking_resolver(std::string_view text) {
  std::string asking = std::string("nameserver ") + net::kInsideAddress + "\n";
  bool has_dots = false;
  for_each_line(text, [&](std::string_view line, bool) {
    if (is_entry(line, "nameserver")) return;
    has_dots = has_dots || (is_entry(line, "options") && line.find("ndots:") != std::string_view::npos);
    asking += line;
    asking += '\n';
  });
  // A name without a dot is a container's, before it is tried in any search domain.
  if (!has_dots) asking += "options ndots:0\n";
  return asking;
}

sys::Result<void> ask_own_resolver(const std::string& bundle) {
  return edit_in_place(bundle + "/etc/resolv.conf", [](const std::string& text) { return asking_resolver(text); });
}

}  // namespace supervisor
