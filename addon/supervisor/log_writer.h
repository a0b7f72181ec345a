// The container's log: CRI format ("Kubernetes container runtime interface" logging), one line a record:
//   2026-11-24T10:00:00.123456789Z stdout F a whole line
//   2026-11-24T10:00:00.123456789Z stdout P a piece, whose line goes on in the next record of this stream
// The format lets more tags follow the first, after colons; a reader that does not know them passes over them:
//   cont     goes on with the line of this stream's record before
//   run=2    written by the second run of the container, and so on; the first run's records have none
//   lost=99  so many bytes of this stream are missing before it: the disk took none
//   file=3   the log's third rotation began with it: a reader sees whether one was removed before it came to it
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

  // What is appended from now on is of the container's `run`th run, the first being 1. No line goes on from before.
  void begin_run(int run);

  // `data` is in the log, in records that give back exactly these bytes: the content of every record, and a newline
  // after each F. A record has at most 16 KiB of content. What the disk refuses is dropped, as whole batches, and
  // counted.
  void append(Stream stream, const char* data, size_t size);

  [[nodiscard]] uint64_t size() const { return size_; }  // of the current file
  [[nodiscard]] uint64_t lost() const { return lost_; }  // bytes of output

 private:
  static constexpr size_t kMaxParts = 512;
  static constexpr size_t kArenaSize = 65536;

  void add_record(char tag, const char* data, size_t size);
  std::string tags();
  void add_to_arena(const char* data, size_t size);
  void add_part(const char* data, size_t size);
  void flush();
  bool write_parts();
  void rotate();

  LogConfig config_;
  sys::Fd fd_;
  uint64_t size_ = 0;
  uint64_t lost_ = 0;
  uint64_t file_ = 0;  // how many rotations there were
  bool file_told_ = true;
  std::string run_tag_;
  struct StreamState {
    bool in_line = false;  // its last record was a piece
    uint64_t missing = 0;  // bytes dropped since its last record
  };
  std::array<StreamState, 2> streams_{};

  // The batch that is being made, all of one stream: long contents are written from where they were read, all else is
  // copied together.
  std::array<iovec, kMaxParts> parts_{};
  size_t part_count_ = 0;
  size_t batch_size_ = 0;
  size_t batch_content_ = 0;
  uint64_t batch_missing_ = 0;
  StreamState* stream_ = nullptr;
  std::string header_;  // "TIME stdout "
  std::string arena_;
};

}  // namespace supervisor
