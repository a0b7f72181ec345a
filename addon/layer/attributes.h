// What belongs to a file beside its content, taken from one layer's file and given to another's.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>

#include "sys/result.h"

namespace layer {

struct Attributes {
  struct stat status {};
  // Without overlayfs's marks, which are the layer's, and the label that the security module gives.
  std::map<std::string, std::string> xattrs;
};

// Of whatever `fd` is, O_PATH and links included. Errors have the step and the path given.
sys::Result<Attributes> attributes_of(int fd, const char* step, const std::string& path);

// Owner, attributes and mode are those of `from`. Without privilege every layer's files are this user's, and the owner
// is left alone.
sys::Result<void> give(int fd, const Attributes& from, const char* step, const std::string& path);

// The times too. Last of all, for a folder after its children.
sys::Result<void> give_times(int fd, const Attributes& from, const char* step, const std::string& path);

}  // namespace layer
