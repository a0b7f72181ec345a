// Mount options of the OCI specification ("Linux mount options"), sorted by who understands them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace jail {

struct MountOptions {
  uint64_t set = 0;  // MOUNT_ATTR_* of this mount
  uint64_t clear = 0;
  uint64_t recursive_set = 0;  // and of those below it: "rro" and its like
  uint64_t recursive_clear = 0;
  uint64_t propagation = 0;  // MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE; 0: not said
  bool recursive_propagation = false;
  bool recursive_bind = false;
  std::vector<std::pair<std::string, std::string>> data;  // for the file system itself; a flag has no value

  [[nodiscard]] const std::string* find(const std::string& key) const;
};

// Later options win over earlier ones. What is no mount option is the file system's own.
MountOptions parse_options(const std::vector<std::string>& options);

}  // namespace jail
