// One layer: the blob in, the kept blob and the layer's folder out, in one pass. At most three threads (reading,
// inflating, writing) with bounded queues between them: a few MiB of memory whatever the layer's size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layer/hardlinks.h"
#include "layer/plain_input.h"
#include "sys/result.h"

namespace layer {

// What the manifest and the image's configuration promise; empty or absent: not checked.
struct Expected {
  std::string digest;
  std::optional<uint64_t> size;
  std::string diff_id;
};

struct UnpackRequest {
  int input = 0;           // a pipe, socket or file, read to its end; stays open
  std::string layer_dir;   // an existing empty folder, in a folder that nobody else can enter
  std::string blob_file;   // is made, and holds the bytes of the input; empty: not kept
  std::string media_type;  // only to refuse what no look at the bytes could tell: encrypted layers
  Limits limits;
  Expected expected;
  bool userxattr = false;
  bool ignore_chown = false;
  bool sync = false;  // blob and layer survive a power cut
  // The process is changed for good: root directory in the layer, capabilities reduced. For a process of its own.
  bool confine = false;
};

struct UnpackResult {
  std::string digest;
  uint64_t size = 0;
  std::string diff_id;
  uint64_t diff_size = 0;
  const char* compression = "none";  // or "gzip" or "zstd", whatever the media type said
  uint64_t entries = 0;
  // All paths: relative to the layer, the root is ".", bytes as in the archive.
  std::vector<std::string> implicit;   // folders without an entry of their own (0755, root's)
  std::vector<std::string> whiteouts;  // made; the chain step can tell which hide nothing
  std::vector<LowerLink> lower_links;  // hardlinks to files of lower layers
  std::vector<std::string> warnings;
  uint64_t skipped_devices = 0;
};

// The layer is unpacked, every byte of it verified. Otherwise the blob file is gone again; what is in the folder is the
// caller's to remove. Steps of errors: "read layer", "keep blob", "inflate", "read tar", "extract", "limit"…, "verify";
// `path` is the entry's name. Sets the process's umask to 0 while it runs, and may change its working directory for
// moments.
sys::Result<UnpackResult> unpack(const UnpackRequest& request, const ProgressFn& progress);

}  // namespace layer
