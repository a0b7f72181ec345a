// One member of a tar archive, whatever dialect it was written in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace layer {

enum class EntryType { kFile, kHardlink, kSymlink, kCharDevice, kBlockDevice, kDirectory, kFifo };

struct Time {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
};

struct Xattr {
  std::string name;
  std::string value;
};

// A run of stored bytes in a sparse file.
struct Segment {
  uint64_t offset = 0;
  uint64_t size = 0;
};

struct Entry {
  EntryType type = EntryType::kFile;
  std::string name;   // as written: any bytes but NUL, maybe absolute, maybe with ".."
  std::string link;   // target of a hardlink or a symlink, as written
  uint32_t mode = 0;  // within 07777
  uint32_t uid = 0;   // never 4294967295, which chown(2) takes for "leave it"
  uint32_t gid = 0;
  Time modified;
  std::optional<Time> accessed;
  uint64_t size = 0;  // of the file, holes included
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  std::vector<Xattr> xattrs;  // names unique
  bool sparse = false;
};

}  // namespace layer
