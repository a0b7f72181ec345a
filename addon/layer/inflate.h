// Decompression of layer blobs. What a blob is, its first bytes say: media types lie (`…diff.tar.gzip` may hold plain
// tar or zstd).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "layer/stream.h"

namespace layer {

enum class Compression { kNone, kGzip, kZstd, kBzip2, kXz };

// Looks at up to six bytes. Anything unknown is kNone: the tar reader then says what is wrong with it.
Compression sniff(std::span<const uint8_t> head);

// The two stages of one stream. Errors have the step "inflate".
class Inflater {
 public:
  virtual ~Inflater() = default;
  // Fills `out` with up to `size` bytes, fewer only at the end; 0 at the end of the last member or frame.
  virtual sys::Result<size_t> read(uint8_t* out, size_t size) = 0;
};

// Any number of gzip members (RFC 1952 §2.2). What follows the last one and is no member (padding, junk) is ignored, as
// gzip(1) does: the blob's digest covers it. CRC and length of every member are checked.
std::unique_ptr<Inflater> make_gzip_inflater(ByteSource& in);

// Any number of zstd frames, skippable ones among them (RFC 8878). Windows up to 2^window_log bytes; a frame that wants
// more, or a dictionary, is an error.
std::unique_ptr<Inflater> make_zstd_inflater(ByteSource& in, int window_log);

}  // namespace layer
