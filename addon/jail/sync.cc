#include "jail/sync.h"

#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>

#include "sys/unix_socket.h"

namespace jail::sync {
namespace {

// Longer texts are cut: a path of the image may have 4096 bytes, and the packet must stay small.
constexpr size_t kMaxText = 1024;

struct Header {
  uint8_t kind;
  uint8_t zero[3];
  int32_t value;
  int32_t err;
  int32_t exit_code;
};

constexpr size_t kMaxPacket = sizeof(Header) + 3 * (kMaxText + 1);

void append(std::string& packet, const std::string& text) {
  packet.append(text, 0, kMaxText);
  packet.push_back('\0');
}

std::string take(std::string_view& rest) {
  const size_t end = rest.find('\0');
  if (end == std::string_view::npos) return {};
  std::string text(rest.substr(0, end));
  rest.remove_prefix(end + 1);
  return text;
}

}  // namespace

sys::Result<void> send(int socket, Kind kind, int32_t value, int fd) {
  Header header{};
  header.kind = static_cast<uint8_t>(kind);
  header.value = value;
  if (fd >= 0) {
    auto sent = sys::send_fds(socket, &header, sizeof header, {fd});
    if (!sent) return sent.take_failure();
    return {};
  }
  ssize_t n = 0;
  do {
    n = ::write(socket, &header, sizeof header);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return sys::errno_error("sync");
  return {};
}

void send_error(int socket, const sys::Error& failure) {
  Header header{};
  header.kind = static_cast<uint8_t>(Kind::kError);
  header.err = failure.err;
  header.exit_code = failure.exit_code;
  std::string packet(reinterpret_cast<const char*>(&header), sizeof header);
  append(packet, failure.step);
  append(packet, failure.message);
  append(packet, failure.path);
  ssize_t n = 0;
  do {
    n = ::write(socket, packet.data(), packet.size());
  } while (n < 0 && errno == EINTR);
}

sys::Result<Message> receive(int socket) {
  char packet[kMaxPacket];
  auto received = sys::receive_fds(socket, packet, sizeof packet);
  if (!received) return received.take_failure();
  if (received->size == 0) return sys::errno_error("sync", {}, ECONNRESET);
  if (received->size < sizeof(Header)) return sys::errno_error("sync", {}, EBADMSG);
  Header header{};
  memcpy(&header, packet, sizeof header);
  Message message;
  message.kind = static_cast<Kind>(header.kind);
  message.value = header.value;
  if (!received->fds.empty()) message.fd = std::move(received->fds[0]);
  if (message.kind == Kind::kError) {
    std::string_view rest(packet + sizeof header, received->size - sizeof header);
    message.error.err = header.err;
    message.error.exit_code = header.exit_code;
    message.error.step = take(rest);
    message.error.message = take(rest);
    message.error.path = take(rest);
  }
  return message;
}

sys::Result<void> expect_go(int socket, int32_t point) {
  Header header{};
  ssize_t n = 0;
  do {
    n = ::read(socket, &header, sizeof header);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return sys::errno_error("sync");
  // The parent is gone: nobody would know of this process.
  if (n == 0) return sys::errno_error("sync", {}, ECONNRESET);
  if (static_cast<size_t>(n) != sizeof header || header.kind != static_cast<uint8_t>(Kind::kGo) ||
      header.value != point) {
    return sys::errno_error("sync", {}, EBADMSG);
  }
  return {};
}

}  // namespace jail::sync
