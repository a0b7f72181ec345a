// Netlink, as much as links, addresses, routes and rules need: many requests in one sendmsg, errors with the step that
// failed.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.h"
#include "sys/result.h"

namespace net {

// Requests for one sendmsg. The kernel works them off in order and, for rtnetlink, goes on after one that fails.
class Batch {
 public:
  // Opens a message; `header` is the family's own (ifinfomsg, nfgenmsg, …). `step` names it in an Error.
  template <class Header>
  void begin(const char* step, std::uint16_t type, unsigned flags, const Header& header) {
    begin_message(step, type, flags);
    append(&header, sizeof header);
  }

  void attribute(std::uint16_t type, const void* data, std::size_t size);
  void attribute(std::uint16_t type, std::string_view text);  // with its NUL
  template <class Number>
  void number(std::uint16_t type, Number value) {
    attribute(type, &value, sizeof value);
  }

  // A nested attribute, open until close(mark).
  [[nodiscard]] std::size_t open(std::uint16_t type);
  void close(std::size_t mark);
  // Bytes without an attribute around them: the peer's ifinfomsg inside VETH_INFO_PEER.
  void append(const void* data, std::size_t size);

  void finish() { end_message(); }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }
  [[nodiscard]] const char* step(std::uint32_t sequence) const;

 private:
  void begin_message(const char* step, std::uint16_t type, unsigned flags);
  void end_message();

  std::vector<std::byte> bytes_;
  std::size_t message_ = 0;  // offset of the open message
  bool is_open_ = false;
  std::vector<const char*> steps_;
};

// One attribute inside a message that the kernel sent.
struct Attribute {
  std::uint16_t type;
  const std::byte* data;
  std::size_t size;

  [[nodiscard]] std::string_view text() const;  // up to its NUL
  [[nodiscard]] std::uint32_t u32() const;      // 0 when it is shorter
};

// Calls `visit` for each attribute in [data, data + size); stops at one that is cut off.
void for_each_attribute(const std::byte* data, std::size_t size, const std::function<void(const Attribute&)>& visit);

class Netlink {
 public:
  // In the caller's present network namespace, where the socket stays whatever becomes of the caller.
  static sys::Result<Netlink> create(int protocol);

  // All requests were worked off; fails with the first that failed. `visit` gets each message that is not an ack.
  // The kernel handles a request inside sendmsg, so every answer is there when it returns: nothing here ever waits.
  sys::Result<void> talk(Batch& batch, const std::function<void(const nlmsghdr&)>& visit = {});

  [[nodiscard]] int fd() const { return fd_.get(); }
  sys::Fd take_fd() { return std::move(fd_); }

 private:
  explicit Netlink(sys::Fd fd) : fd_(std::move(fd)) {}
  sys::Fd fd_;
};

}  // namespace net
