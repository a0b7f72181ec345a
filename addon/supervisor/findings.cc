#include "supervisor/findings.h"

#include <unistd.h>

#include <cerrno>

#include "supervisor/byte_text.h"
#include "supervisor/handshake.h"
#include "supervisor/process.h"
#include "sys/bytes.h"

namespace supervisor {
namespace {

constexpr size_t kPartSize = kMaxPayload / 4;
constexpr size_t kReadSize = 65536;

// Sends `found` events, each under the size of a frame.
class FindingsSender {
 public:
  void names(const char* key, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      begin(key);
      append_name(items_, name);
      flush_if_large(key);
    }
    flush(key);
  }

  void links(const std::vector<layer::LowerLink>& links) {
    for (const layer::LowerLink& link : links) {
      begin("lowerLinks");
      items_ += "{\"path\":";
      append_name(items_, link.path);
      items_ += ",\"target\":";
      append_name(items_, link.target);
      items_ += '}';
      flush_if_large("lowerLinks");
    }
    flush("lowerLinks");
  }

 private:
  void begin(const char* /*key*/) {
    if (!items_.empty()) items_ += ',';
  }
  void flush_if_large(const char* key) {
    if (items_.size() >= kPartSize) flush(key);
  }
  void flush(const char* key) {
    if (items_.empty()) return;
    const std::string event = std::string(R"({"event":"found",")") + key + "\":[" + items_ + "]}";
    (void)sys::write_all(kControlFd, encode_frame(FrameType::kEvent, event)).ok();
    items_.clear();
  }

  std::string items_;
};

}  // namespace

void send_findings(const layer::UnpackResult& result) {
  FindingsSender findings;
  findings.names("implicit", result.implicit);
  findings.names("whiteouts", result.whiteouts);
  findings.links(result.lower_links);
}

sys::Result<Findings> read_findings(int input_fd) {
  Findings found;
  std::string input;
  char data[kReadSize];
  for (;;) {
    const ssize_t size = read(input_fd, data, sizeof data);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return sys::errno_error("read findings");
    if (size == 0) break;
    input.append(data, static_cast<size_t>(size));
  }
  if (!input.empty() && input.back() != '\0') return sys::error("read findings", "they end in the middle", EPROTO);
  size_t at = 0;
  const auto next = [&] {
    std::string text(input.c_str() + at);
    at += text.size() + 1;
    return text;
  };
  while (at < input.size()) {
    const std::string text = next();
    const std::string path = text.empty() ? std::string() : text.substr(1);
    if (text.rfind('i', 0) == 0) {
      found.implicit.push_back(path);
    } else if (text.rfind('w', 0) == 0) {
      found.whiteouts.push_back(path);
    } else if (text.rfind('l', 0) == 0 && at < input.size()) {
      found.lower_links.push_back({path, next()});
    } else {
      return sys::error("read findings", "they are not of this protocol", EPROTO);
    }
  }
  return found;
}

}  // namespace supervisor
