#include "layer/gzip_member.h"
#include "layer/inflate.h"

namespace layer {
namespace {

constexpr uint8_t kMagic[] = {0x1f, 0x8b};

class GzipInflater final : public Inflater {
 public:
  explicit GzipInflater(ByteSource& in) : in_(in), member_(make_gzip_member()) {}

  sys::Result<size_t> read(uint8_t* out, size_t size) override {
    Window window = {in_bytes_.data(), in_bytes_.size(), out, size};
    while (window.out_size > 0 && !ended_) {
      if (window.in_size == 0 && !exhausted_) {
        auto more = in_.next();
        if (!more) return more.take_failure();
        exhausted_ = more->empty();
        window.in = more->data();
        window.in_size = more->size();
      }
      if (between_members_) {
        SYS_TRY(look_for_member(window));
        continue;
      }
      const size_t in_before = window.in_size;
      const size_t out_before = window.out_size;
      auto end = member_->step(window);
      if (!end) return end.take_failure();
      if (*end) {
        between_members_ = true;
        magic_seen_ = 0;
      } else if (exhausted_ && window.in_size == in_before && window.out_size == out_before) {
        return sys::error("inflate", "gzip: the data ends in the middle");
      }
    }
    in_bytes_ = {window.in, window.in_size};
    return size - window.out_size;
  }

 private:
  // The two magic bytes may lie in different chunks. They are given to the decoder only when both are seen, since a
  // lone 0x1f is junk.
  sys::Result<void> look_for_member(Window& window) {
    if (window.in_size == 0) {
      ended_ = exhausted_;
      return {};
    }
    if (*window.in != kMagic[magic_seen_]) {
      ended_ = true;
      return {};
    }
    window.in++;
    window.in_size--;
    if (++magic_seen_ < 2) return {};
    member_->reset();
    between_members_ = false;
    uint8_t none;
    Window magic = {kMagic, sizeof kMagic, &none, 0};
    auto end = member_->step(magic);
    if (!end) return end.take_failure();
    return {};
  }

  ByteSource& in_;
  std::unique_ptr<GzipMember> member_;
  std::span<const uint8_t> in_bytes_;
  bool exhausted_ = false;
  bool between_members_ = false;
  bool ended_ = false;
  int magic_seen_ = 0;
};

}  // namespace

std::unique_ptr<Inflater> make_gzip_inflater(ByteSource& in) { return std::make_unique<GzipInflater>(in); }

}  // namespace layer
