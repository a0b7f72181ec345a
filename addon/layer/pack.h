// A folder's tree as a tar archive: every type, owner, mode, time and attribute that an image may have, byte for byte
// the same for the same tree. The tree may be a container's that runs meanwhile, and hostile: nothing is looked up but
// by one name in one open folder, no link is followed, no other mount is entered, and what vanishes or changes while it
// is read never breaks the archive.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layer/layer_form.h"
#include "layer/output.h"
#include "sys/result.h"

namespace layer {

struct PackOptions {
  uint32_t depth = 1024;  // folders in each other, as unpacking allows them; more is an error
  // Other mounts: left out, their folders empty; entered, but for the kernel's own file systems; or entered, all.
  enum class Mounts { kLeftOut, kFiles, kAll } mounts = Mounts::kLeftOut;
  // The tree is an upper folder, or a copy of one, and the archive is the layer that it is.
  const LayerForm* layer = nullptr;
};

struct PackReport {
  uint64_t entries = 0;
  uint64_t sockets = 0;   // left out: tar has no way to tell them
  uint64_t vanished = 0;  // between the reading of their folder and their own
  uint64_t changed = 0;   // files that had another size at their end than at their beginning: cut, or filled with zeros
  bool same_root = false;             // of a layer: the root's own entry tells nothing new
  std::vector<std::string> warnings;  // the first few of these in words
};

// `output` has the archive of the folder `root`: "./" for itself, then all that is in it, names sorted by their bytes,
// a folder before what it holds. Of several names of one file all but the first are hardlinks. The caller finishes the
// output. Steps of errors: "read tree", whose path is the entry's; "limit"; "write". Device nodes that an attacker puts
// in a file's place are opened unless the root's mount is nodev.
sys::Result<PackReport> pack(int root, Output& output, const PackOptions& options = {});

// The same of `name` in the folder `parent`, or of the folder itself where it is empty. `as` is what it is called in
// the archive, and empty for "./", which only a folder can be. That there is nothing of the name is the error ENOENT.
sys::Result<PackReport> pack_member(int parent, const std::string& name, const std::string& as, Output& output,
                                    const PackOptions& options);

}  // namespace layer
