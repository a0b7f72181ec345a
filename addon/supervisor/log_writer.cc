#include "supervisor/log_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "supervisor/clock.h"

namespace supervisor {
namespace {

constexpr size_t kMaxContent = 16384;
constexpr size_t kCopyBelow = 512;  // a part of its own costs about as much as copying this much
constexpr size_t kStreamOffset = kTimeSize + 1;
constexpr size_t kTagOffset = kStreamOffset + 7;
constexpr size_t kPrefixSize = kTagOffset + 2;  // "TIME stdout F "

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
  char last = '\n';
  if (status.st_size > 0 && pread(writer.fd_.get(), &last, 1, status.st_size - 1) == 1 && last != '\n') {
    writer.add_to_arena("\n", 1);
    writer.flush();
  }
  return writer;
}

void LogWriter::begin_run(int number) {
  run_ = number;
  run_written_ = number <= 1;
}

// By itself and not in a batch: were the batch refused, the next one would lack it.
void LogWriter::write_run() {
  char time[kTimeSize];
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  format_time(now, time);
  const std::string record = std::string(time, kTimeSize) + " system F run " + std::to_string(run_) + "\n";
  const ssize_t written = write(fd_.get(), record.data(), record.size());
  run_written_ = written == static_cast<ssize_t>(record.size());
  if (run_written_) {
    size_ += record.size();
  } else if (written > 0 && ftruncate(fd_.get(), static_cast<off_t>(size_)) < 0) {
    size_ = static_cast<uint64_t>(lseek(fd_.get(), 0, SEEK_END));
  }
}

void LogWriter::append(Stream stream, const char* data, size_t size) {
  if (!run_written_) write_run();
  char prefix[kPrefixSize + 1];
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  format_time(now, prefix);
  std::memcpy(prefix + kTimeSize, stream == Stream::kStdout ? " stdout F " : " stderr F ", kPrefixSize - kTimeSize);

  const char* const end = data + size;
  while (data < end) {
    const auto left = static_cast<size_t>(end - data);
    const size_t window = left < kMaxContent + 1 ? left : kMaxContent + 1;
    const auto* newline = static_cast<const char*>(std::memchr(data, '\n', window));
    if (newline != nullptr) {
      add_record(prefix, 'F', data, static_cast<size_t>(newline - data));
      data = newline + 1;
    } else {
      const size_t piece = left < kMaxContent ? left : kMaxContent;
      add_record(prefix, 'P', data, piece);
      data += piece;
    }
  }
  flush();
}

void LogWriter::add_record(const char* prefix, char tag, const char* data, size_t size) {
  const bool copied = size < kCopyBelow;
  const size_t needed = kPrefixSize + (copied ? size : 0) + 1;
  // A record never straddles two batches: a failed batch leaves no torn record.
  if (part_count_ + 3 > kMaxParts || arena_.size() + needed > kArenaSize) flush();
  add_to_arena(prefix, kTagOffset);
  const char rest[] = {tag, ' '};
  add_to_arena(rest, sizeof rest);
  if (copied) {
    add_to_arena(data, size);
  } else {
    add_part(data, size);
  }
  add_to_arena("\n", 1);
  batch_content_ += size + (tag == 'F' ? 1 : 0);
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
  if (config_.max_size > 0 && size_ > 0 && size_ + batch_size_ > config_.max_size && rotate()) {
    // Whoever finds only this file still learns which run it begins with.
    if (run_ > 1) write_run();
  }
  if (write_parts()) {
    size_ += batch_size_;
  } else {
    // Readers see records or nothing: what was written of this batch is taken back.
    if (ftruncate(fd_.get(), static_cast<off_t>(size_)) < 0)
      size_ = static_cast<uint64_t>(lseek(fd_.get(), 0, SEEK_END));
    lost_ += batch_content_;
  }
  arena_.clear();
  part_count_ = 0;
  batch_size_ = 0;
  batch_content_ = 0;
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

// container.log -> container.log.1 -> … ; followers see another inode under the name. If a new file cannot be made, the
// old one goes on.
bool LogWriter::rotate() {
  const std::string& path = config_.path;
  const std::string fresh = path + ".new";
  sys::Fd fd(::open(fresh.c_str(), O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return false;
  for (int i = config_.max_files - 1; i >= 1; i--) {
    const std::string from = i == 1 ? path : path + "." + std::to_string(i - 1);
    ::rename(from.c_str(), (path + "." + std::to_string(i)).c_str());
  }
  if (::rename(fresh.c_str(), path.c_str()) < 0) return false;
  fd_ = std::move(fd);
  size_ = 0;
  return true;
}

}  // namespace supervisor
