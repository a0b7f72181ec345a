#include "supervisor/mounted_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fd.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kStep = "change mounted file";
constexpr size_t kMaxSize = 1 << 20;

sys::Result<void> write_all(int fd, std::string_view text, off_t offset, const std::string& path) {
  while (!text.empty()) {
    const ssize_t size = pwrite(fd, text.data(), text.size(), offset);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return sys::errno_error(kStep, path);
    text.remove_prefix(static_cast<size_t>(size));
    offset += size;
  }
  return {};
}

}  // namespace

// The lines, without their newlines, as `visit` gets them; the last may have none.
void for_each_line(std::string_view text, const std::function<void(std::string_view line, bool ended)>& visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const bool ended = end != std::string_view::npos;
    visit(text.substr(0, end), ended);
    text = ended ? text.substr(end + 1) : std::string_view();
  }
}

sys::Result<void> edit_in_place(const std::string& path, const std::function<std::string(const std::string&)>& change) {
  auto text = sys::read_file(path, kMaxSize);
  // The container mounts another one, or has none; or made of it what nobody would read.
  if (!text && (text.failure().err == ENOENT || text.failure().err == EFBIG)) return {};
  if (!text) return text.take_failure();
  const std::string changed = change(*text);
  if (changed == *text) return {};
  // From the first difference on: whoever reads it meanwhile finds the lines before that whole.
  size_t same = 0;
  while (same < changed.size() && same < text->size() && changed[same] == (*text)[same]) same++;
  const sys::Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return sys::errno_error(kStep, path);
  auto written = write_all(file.get(), std::string_view(changed).substr(same), static_cast<off_t>(same), path);
  if (!written) {
    // The disk is full: what was there had its room.
    (void)write_all(file.get(), std::string_view(*text).substr(same), static_cast<off_t>(same), path).ok();
    (void)ftruncate(file.get(), static_cast<off_t>(text->size()));
    return written;
  }
  if (ftruncate(file.get(), static_cast<off_t>(changed.size())) != 0) return sys::errno_error(kStep, path);
  return {};
}

}  // namespace supervisor
