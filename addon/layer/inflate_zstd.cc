#include <zstd.h>

#include <string>

#include "layer/inflate.h"

namespace layer {
namespace {

class ZstdInflater final : public Inflater {
 public:
  ZstdInflater(ByteSource& in, int window_log) : in_(in), context_(ZSTD_createDCtx()) {
    if (context_ != nullptr) ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, window_log);
  }
  ~ZstdInflater() override { ZSTD_freeDCtx(context_); }
  ZstdInflater(const ZstdInflater&) = delete;
  ZstdInflater& operator=(const ZstdInflater&) = delete;

  sys::Result<size_t> read(uint8_t* out, size_t size) override {
    if (context_ == nullptr) return sys::error("inflate", "zstd: out of memory", ENOMEM);
    ZSTD_outBuffer output = {out, size, 0};
    while (output.pos < output.size) {
      if (input_.pos == input_.size && !exhausted_) {
        auto more = in_.next();
        if (!more) return more.take_failure();
        exhausted_ = more->empty();
        input_ = {more->data(), more->size(), 0};
      }
      // 0: the last frame is complete and flushed, so that this may be the end.
      if (exhausted_ && input_.pos == input_.size && pending_ == 0) break;
      const size_t in_before = input_.pos;
      const size_t out_before = output.pos;
      pending_ = ZSTD_decompressStream(context_, &output, &input_);
      if (ZSTD_isError(pending_) != 0)
        return sys::error("inflate", std::string("zstd: ") + ZSTD_getErrorName(pending_));
      if (exhausted_ && input_.pos == in_before && output.pos == out_before) {
        return sys::error("inflate", "zstd: the data ends in the middle");
      }
    }
    return output.pos;
  }

 private:
  ByteSource& in_;
  ZSTD_DCtx* context_;
  ZSTD_inBuffer input_ = {nullptr, 0, 0};
  size_t pending_ = 0;
  bool exhausted_ = false;
};

}  // namespace

std::unique_ptr<Inflater> make_zstd_inflater(ByteSource& in, int window_log) {
  return std::make_unique<ZstdInflater>(in, window_log);
}

}  // namespace layer
