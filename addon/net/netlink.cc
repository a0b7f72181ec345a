#include "net/netlink.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace net {
namespace {

// Messages and attributes start at multiples of 4 bytes (netlink(7)).
std::size_t align(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

// The kernel's own words on why it refused, when it has any (NETLINK_EXT_ACK).
std::string extended_message(const nlmsghdr& message) {
  const auto* base = reinterpret_cast<const std::byte*>(&message);
  std::size_t offset = NLMSG_HDRLEN + sizeof(nlmsgerr);
  // Without the CAPPED flag the refused request, whose header is in nlmsgerr, stands in between with its payload.
  if (!(message.nlmsg_flags & NLM_F_CAPPED)) {
    const auto* details = reinterpret_cast<const nlmsgerr*>(base + NLMSG_HDRLEN);
    offset += align(details->msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  std::string found;
  if (!(message.nlmsg_flags & NLM_F_ACK_TLVS) || offset >= message.nlmsg_len) return found;
  for_each_attribute(base + offset, message.nlmsg_len - offset, [&](const Attribute& attribute) {
    if (attribute.type == NLMSGERR_ATTR_MSG) found = attribute.text();
  });
  return found;
}

}  // namespace

void Batch::begin_message(const char* step, std::uint16_t type, unsigned flags) {
  end_message();
  message_ = bytes_.size();
  is_open_ = true;
  steps_.push_back(step);
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header.nlmsg_seq = static_cast<std::uint32_t>(steps_.size());
  append(&header, sizeof header);
}

void Batch::end_message() {
  if (!is_open_) return;
  is_open_ = false;
  auto length = static_cast<std::uint32_t>(bytes_.size() - message_);
  std::memcpy(bytes_.data() + message_, &length, sizeof length);
}

void Batch::append(const void* data, std::size_t size) {
  std::size_t start = bytes_.size();
  bytes_.resize(start + align(size));
  if (size > 0) std::memcpy(bytes_.data() + start, data, size);
}

void Batch::attribute(std::uint16_t type, const void* data, std::size_t size) {
  nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + size), type};
  append(&header, sizeof header);
  append(data, size);
}

void Batch::attribute(std::uint16_t type, std::string_view text) {
  std::string terminated(text);
  attribute(type, terminated.c_str(), terminated.size() + 1);
}

std::size_t Batch::open(std::uint16_t type) {
  std::size_t mark = bytes_.size();
  attribute(static_cast<std::uint16_t>(type | NLA_F_NESTED), nullptr, 0);
  return mark;
}

void Batch::close(std::size_t mark) {
  auto length = static_cast<std::uint16_t>(bytes_.size() - mark);
  std::memcpy(bytes_.data() + mark, &length, sizeof length);
}

const char* Batch::step(std::uint32_t sequence) const {
  return sequence >= 1 && sequence <= steps_.size() ? steps_[sequence - 1] : "netlink";
}

std::string_view Attribute::text() const {
  const char* start = reinterpret_cast<const char*>(data);
  return {start, strnlen(start, size)};
}

std::uint32_t Attribute::u32() const {
  std::uint32_t value = 0;
  if (size >= sizeof value) std::memcpy(&value, data, sizeof value);
  return value;
}

void for_each_attribute(const std::byte* data, std::size_t size, const std::function<void(const Attribute&)>& visit) {
  while (size >= sizeof(nlattr)) {
    nlattr header;
    std::memcpy(&header, data, sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > size) return;
    visit({static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK), data + sizeof header,
           header.nla_len - sizeof header});
    std::size_t step = std::min(align(header.nla_len), size);
    data += step;
    size -= step;
  }
}

sys::Result<Netlink> Netlink::create(int protocol) {
  sys::Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return sys::errno_error("netlink socket");
  int on = 1;
  // Both only make errors better and smaller; kernels before 4.12 lack them.
  (void)setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  return Netlink(std::move(fd));
}

sys::Result<void> Netlink::talk(Batch& batch, const std::function<void(const nlmsghdr&)>& visit) {
  batch.finish();
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto& request = batch.bytes();
  ssize_t sent = 0;
  do {
    sent = sendto(fd_.get(), request.data(), request.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return sys::errno_error("netlink send");

  sys::Result<void> result;
  alignas(nlmsghdr) std::array<std::byte, 32768> buffer;  // as large as the kernel makes a part of a dump
  for (;;) {
    sockaddr_nl sender{};
    socklen_t sender_size = sizeof sender;
    ssize_t received = recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                reinterpret_cast<sockaddr*>(&sender), &sender_size);
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return result;
      return sys::errno_error("netlink receive");
    }
    if (sender.nl_pid != 0) continue;  // another process may write to a netlink socket; only the kernel is believed
    auto left = static_cast<std::size_t>(received);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
         left >= sizeof(nlmsghdr) && message->nlmsg_len >= sizeof(nlmsghdr) && message->nlmsg_len <= left;) {
      if (message->nlmsg_type == NLMSG_ERROR && message->nlmsg_len >= NLMSG_HDRLEN + sizeof(nlmsgerr)) {
        const auto* details = reinterpret_cast<const nlmsgerr*>(NLMSG_DATA(message));
        if (details->error != 0 && result.ok()) {
          sys::Error failure = sys::errno_error(batch.step(message->nlmsg_seq), {}, -details->error);
          failure.message = extended_message(*message);
          result = std::move(failure);
        }
      } else if (message->nlmsg_type != NLMSG_DONE && visit) {
        visit(*message);
      }
      std::size_t step = std::min(align(message->nlmsg_len), left);
      left -= step;
      message = reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const std::byte*>(message) + step);
    }
  }
}

}  // namespace net
