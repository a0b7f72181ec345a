#include "supervisor/log_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "supervisor/clock.h"

namespace supervisor {
namespace {

constexpr size_t kMaxContent = 16384;
constexpr size_t kCopyBelow = 512;  // a part of its own costs about as much as copying this much
constexpr size_t kMaxHeader = 256;
constexpr size_t kMaxTags = 96;

// The number of the rotation that `file` began with; 0 of the first one.
uint64_t rotation_of(int fd) {
  char head[kMaxHeader + 1] = {};
  if (pread(fd, head, kMaxHeader, 0) <= 0) return 0;
  const char* const tags = head + kTimeSize + 8;  // " stdout "
  const char* const content = std::strchr(tags, ' ');
  const char* const file = std::strstr(tags, ":file=");
  return file != nullptr && content != nullptr && file < content ? std::strtoull(file + 6, nullptr, 10) : 0;
}

}  // namespace

sys::Result<LogWriter> LogWriter::open(const LogConfig& config) {
  LogWriter writer;
  writer.config_ = config;
  writer.arena_.reserve(kArenaSize);
  writer.fd_.reset(::open(config.path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!writer.fd_) return sys::errno_error("open log", config.path);
  struct stat status {};
  if (fstat(writer.fd_.get(), &status) < 0) return sys::errno_error("open log", config.path);
  writer.size_ = static_cast<uint64_t>(status.st_size);
  writer.file_ = rotation_of(writer.fd_.get());
  char last = '\n';
  if (status.st_size > 0 && pread(writer.fd_.get(), &last, 1, status.st_size - 1) == 1 && last != '\n') {
    writer.add_to_arena("\n", 1);
    writer.flush();
  }
  return writer;
}

void LogWriter::begin_run(int run) {
  run_tag_ = run > 1 ? ":run=" + std::to_string(run) : std::string();
  for (StreamState& stream : streams_) stream.in_line = false;
}

void LogWriter::append(Stream stream, const char* data, size_t size) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  header_.resize(kTimeSize);
  format_time(now, header_.data());
  header_ += stream == Stream::kStdout ? " stdout " : " stderr ";
  stream_ = &streams_[stream == Stream::kStdout ? 0 : 1];

  const char* const end = data + size;
  while (data < end) {
    const auto left = static_cast<size_t>(end - data);
    const size_t window = left < kMaxContent + 1 ? left : kMaxContent + 1;
    const auto* newline = static_cast<const char*>(std::memchr(data, '\n', window));
    if (newline != nullptr) {
      add_record('F', data, static_cast<size_t>(newline - data));
      data = newline + 1;
    } else {
      const size_t piece = left < kMaxContent ? left : kMaxContent;
      add_record('P', data, piece);
      data += piece;
    }
  }
  flush();
}

// The tags after the first, of the record that is about to be added.
std::string LogWriter::tags() {
  std::string tags;
  if (stream_->in_line) tags += ":cont";
  tags += run_tag_;
  if (stream_->missing > 0) {
    tags += ":lost=" + std::to_string(stream_->missing);
    batch_missing_ += std::exchange(stream_->missing, 0);
  }
  if (!file_told_) tags += ":file=" + std::to_string(file_);
  file_told_ = true;
  return tags;
}

void LogWriter::add_record(char tag, const char* data, size_t size) {
  const bool copied = size < kCopyBelow;
  // A record never straddles two batches: a failed batch leaves no torn record.
  const size_t longest = header_.size() + kMaxTags + (copied ? size : 0);
  if (part_count_ + 3 > kMaxParts || arena_.size() + longest > kArenaSize) flush();
  const uint64_t grown = size_ + batch_size_ + header_.size() + kMaxTags + size;
  if (config_.max_size > 0 && grown > config_.max_size) {
    flush();
    if (size_ > 0) rotate();
  }
  add_to_arena(header_.data(), header_.size());
  add_to_arena(&tag, 1);
  const std::string more = tags();
  add_to_arena(more.data(), more.size());
  add_to_arena(" ", 1);
  if (copied) {
    add_to_arena(data, size);
  } else {
    add_part(data, size);
  }
  add_to_arena("\n", 1);
  batch_content_ += size + (tag == 'F' ? 1 : 0);
  stream_->in_line = tag == 'P';
}

// The arena was reserved: it never moves while parts point into it.
void LogWriter::add_to_arena(const char* data, size_t size) {
  const char* at = arena_.data() + arena_.size();
  arena_.append(data, size);
  if (part_count_ > 0) {
    iovec& last = parts_[part_count_ - 1];
    if (static_cast<const char*>(last.iov_base) + last.iov_len == at) {
      last.iov_len += size;
      batch_size_ += size;
      return;
    }
  }
  add_part(at, size);
}

void LogWriter::add_part(const char* data, size_t size) {
  parts_[part_count_++] = iovec{const_cast<char*>(data), size};
  batch_size_ += size;
}

void LogWriter::flush() {
  if (part_count_ == 0) return;
  if (write_parts()) {
    size_ += batch_size_;
  } else {
    // Readers see records or nothing: what was written of this batch is taken back.
    if (ftruncate(fd_.get(), static_cast<off_t>(size_)) < 0)
      size_ = static_cast<uint64_t>(lseek(fd_.get(), 0, SEEK_END));
    lost_ += batch_content_;
    // Told with the next record that finds room. A line that lost a piece does not go on.
    stream_->missing += batch_missing_ + batch_content_;
    stream_->in_line = false;
    if (size_ == 0 && file_ > 0) file_told_ = false;
  }
  arena_.clear();
  part_count_ = 0;
  batch_size_ = 0;
  batch_content_ = 0;
  batch_missing_ = 0;
}

bool LogWriter::write_parts() {
  iovec* next = parts_.data();
  size_t count = part_count_;
  while (count > 0) {
    const ssize_t written = writev(fd_.get(), next, static_cast<int>(count));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    auto left = static_cast<size_t>(written);
    while (count > 0 && left >= next->iov_len) {
      left -= next->iov_len;
      next++;
      count--;
    }
    if (count > 0) {
      next->iov_base = static_cast<char*>(next->iov_base) + left;
      next->iov_len -= left;
    }
  }
  return true;
}

// container.log -> container.log.1 -> … ; followers see another inode under the name, which is never missing. If a new
// file cannot be made, the old one goes on.
void LogWriter::rotate() {
  const std::string& path = config_.path;
  const std::string fresh = path + ".new";
  sys::Fd fd(::open(fresh.c_str(), O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return;
  const auto numbered = [&path](int number) { return path + "." + std::to_string(number); };
  for (int i = config_.max_files - 1; i >= 2; i--) ::rename(numbered(i - 1).c_str(), numbered(i).c_str());
  if (config_.max_files > 1) {
    ::unlink(numbered(1).c_str());
    if (::link(path.c_str(), numbered(1).c_str()) < 0) ::rename(path.c_str(), numbered(1).c_str());
  }
  if (::rename(fresh.c_str(), path.c_str()) < 0) return;
  fd_ = std::move(fd);
  size_ = 0;
  file_++;
  file_told_ = false;
}

}  // namespace supervisor
