#ifndef DINGHY_ISAL
#include <zlib.h>

#include <algorithm>
#include <climits>
#include <string>

#include "layer/gzip_member.h"

namespace layer {
namespace {

// 15: the largest window; +16: gzip wrapper, checksums checked by zlib.
constexpr int kGzipWindow = 15 + 16;

class ZlibMember final : public GzipMember {
 public:
  ZlibMember() { ready_ = inflateInit2(&stream_, kGzipWindow) == Z_OK; }
  ~ZlibMember() override { inflateEnd(&stream_); }
  ZlibMember(const ZlibMember&) = delete;
  ZlibMember& operator=(const ZlibMember&) = delete;

  void reset() override { inflateReset(&stream_); }

  sys::Result<bool> step(Window& window) override {
    if (!ready_) return sys::error("inflate", "gzip: out of memory", ENOMEM);
    const auto in_size = static_cast<uInt>(std::min<size_t>(window.in_size, UINT_MAX));
    const auto out_size = static_cast<uInt>(std::min<size_t>(window.out_size, UINT_MAX));
    stream_.next_in = const_cast<Bytef*>(window.in);
    stream_.avail_in = in_size;
    stream_.next_out = window.out;
    stream_.avail_out = out_size;
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    window.in += in_size - stream_.avail_in;
    window.in_size -= in_size - stream_.avail_in;
    window.out += out_size - stream_.avail_out;
    window.out_size -= out_size - stream_.avail_out;
    // Z_BUF_ERROR is no error: no progress was possible with these buffers.
    if (status == Z_OK || status == Z_BUF_ERROR) return false;
    if (status == Z_STREAM_END) return true;
    const char* why = stream_.msg != nullptr ? stream_.msg : status == Z_MEM_ERROR ? "out of memory" : "damaged data";
    return sys::error("inflate", std::string("gzip: ") + why);
  }

 private:
  z_stream stream_ = {};
  bool ready_;
};

}  // namespace

std::unique_ptr<GzipMember> make_gzip_member() { return std::make_unique<ZlibMember>(); }

}  // namespace layer
#endif
