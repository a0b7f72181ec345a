#ifdef DINGHY_ISAL
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <climits>
#include <string>

#include "layer/gzip_header.h"
#include "layer/gzip_member.h"

namespace layer {
namespace {

const char* why(int status) {
  switch (status) {
    case ISAL_INVALID_BLOCK:
    case ISAL_INVALID_SYMBOL:
    case ISAL_INVALID_LOOKBACK:
      return "damaged data";
    case ISAL_INVALID_WRAPPER:
    case ISAL_UNSUPPORTED_METHOD:
      return "damaged header";
    case ISAL_INCORRECT_CHECKSUM:
      return "checksum or length mismatch";
    default:
      return "cannot be decompressed";
  }
}

class IsalMember final : public GzipMember {
 public:
  IsalMember() {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
  }

  void reset() override {
    isal_inflate_reset(&state_);
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
    header_.reset();
  }

  sys::Result<bool> step(Window& window) override {
    if (!header_.complete()) {
      auto taken = header_.take(window.in, window.in_size);
      if (!taken) return taken.take_failure();
      window.in += *taken;
      window.in_size -= *taken;
      if (!header_.complete()) return false;
    }
    const auto in_size = static_cast<uint32_t>(std::min<size_t>(window.in_size, UINT_MAX));
    const auto out_size = static_cast<uint32_t>(std::min<size_t>(window.out_size, UINT_MAX));
    state_.next_in = const_cast<uint8_t*>(window.in);
    state_.avail_in = in_size;
    state_.next_out = window.out;
    state_.avail_out = out_size;
    const int status = isal_inflate(&state_);
    window.in += in_size - state_.avail_in;
    window.in_size -= in_size - state_.avail_in;
    window.out += out_size - state_.avail_out;
    window.out_size -= out_size - state_.avail_out;
    if (status < 0 || status == ISAL_NEED_DICT) return sys::error("inflate", std::string("gzip: ") + why(status));
    return state_.block_state == ISAL_BLOCK_FINISH;
  }

 private:
  GzipHeader header_;
  inflate_state state_;
};

}  // namespace

std::unique_ptr<GzipMember> make_gzip_member() { return std::make_unique<IsalMember>(); }

}  // namespace layer
#endif
