// The container's log: CRI format ("Kubernetes container runtime interface" logging), one line a record:
//   2026-11-24T10:00:00.123456789Z stdout F a whole line
//   2026-11-24T10:00:00.123456789Z stdout P a piece, whose line goes on in the next record of this stream
// and, of our own, a record that is no output, before the first one of each run of the program but the first:
//   2026-11-24T10:00:00.123456789Z system F run 2
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "supervisor/config.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

enum class Stream { kStdout, kStderr };

class LogWriter {
 public:
  // The log is open for appending, its last line complete (a killed supervisor may have left a torn one).
  static sys::Result<LogWriter> open(const LogConfig& config);

  // `data` is in the log, in records that give back exactly these bytes: the content of every record, and a newline
  // after each F. A record has at most 16 KiB of content. What the disk refuses is dropped, as whole batches, and
  // counted.
  void append(Stream stream, const char* data, size_t size);

  // What follows is output of the program's run of this number. Its record is written with the first output.
  void begin_run(int number);

  [[nodiscard]] uint64_t size() const { return size_; }  // of the current file
  [[nodiscard]] uint64_t lost() const { return lost_; }  // bytes of output

 private:
  static constexpr size_t kMaxParts = 512;
  static constexpr size_t kArenaSize = 65536;

  void add_record(const char* prefix, char tag, const char* data, size_t size);
  void add_to_arena(const char* data, size_t size);
  void add_part(const char* data, size_t size);
  void flush();
  bool write_parts();
  bool rotate();
  void write_run();

  LogConfig config_;
  sys::Fd fd_;
  uint64_t size_ = 0;
  uint64_t lost_ = 0;
  int run_ = 1;
  bool run_written_ = true;

  // The batch that is being made: long contents are written from where they were read, all else is copied together.
  std::array<iovec, kMaxParts> parts_{};
  size_t part_count_ = 0;
  size_t batch_size_ = 0;
  size_t batch_content_ = 0;
  std::string arena_;
};

}  // namespace supervisor
