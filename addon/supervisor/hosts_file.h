// A container's /etc/hosts, where its networks change while it lives. The file is mounted into the container, which may
// have written anything into it: it is changed in place, and what is not ours stays.
#pragma once

#include <string>
#include <string_view>

#include "sys/result.h"

namespace supervisor {

class HostsFile {
 public:
  // Of the bundle: makeHosts() in lib/run/etc-files.ts wrote it.
  explicit HostsFile(const std::string& bundle) : path_(bundle + "/etc/hosts") {}

  // A line says that `name` is at `address`. There is one already: nothing to do.
  [[nodiscard]] sys::Result<void> add(const std::string& address, const std::string& name) const;
  // No line says just that.
  [[nodiscard]] sys::Result<void> remove(const std::string& address, const std::string& name) const;
  // The host's names, also those of extraHosts with host-gateway, are at this address.
  [[nodiscard]] sys::Result<void> move_host(const std::string& address) const;

 private:
  std::string path_;
};

// What HostsFile makes of a text: without this line; with the host at this address.
std::string without_line(std::string_view text, std::string_view line);
std::string with_host_at(std::string_view text, std::string_view address);

}  // namespace supervisor
