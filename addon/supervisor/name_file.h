// Under which names a container is known on one network: read by the resolvers of that network's containers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class NameFile {
 public:
  NameFile() = default;
  ~NameFile() { withdraw(); }
  NameFile(const NameFile&) = delete;
  NameFile& operator=(const NameFile&) = delete;

  // `folder`/`address` has these names, one a line, whole at every moment, and is locked (flock) until withdraw() or
  // the end of this process: a reader takes one that is not locked for dead. Readers have no privilege. The address is
  // this container's alone. Again: with other names.
  sys::Result<void> publish(const std::string& folder, const std::string& address,
                            const std::vector<std::string>& names);
  // The file is gone. Idempotent.
  void withdraw();

 private:
  std::string path_;
  sys::Fd lock_;
};

}  // namespace supervisor
