#include "supervisor/clock.h"

#include <cstring>

namespace supervisor {
namespace {

constexpr size_t kSecondsSize = 19;  // 2026-11-24T10:00:00

void put_digits(char* out, int64_t value, int width) {
  for (int i = width - 1; i >= 0; i--) {
    out[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

void format_seconds(time_t seconds, char* out) {
  tm parts{};
  gmtime_r(&seconds, &parts);
  std::memcpy(out, "0000-00-00T00:00:00", kSecondsSize);
  put_digits(out, parts.tm_year + 1900, 4);
  put_digits(out + 5, parts.tm_mon + 1, 2);
  put_digits(out + 8, parts.tm_mday, 2);
  put_digits(out + 11, parts.tm_hour, 2);
  put_digits(out + 14, parts.tm_min, 2);
  put_digits(out + 17, parts.tm_sec, 2);
}

}  // namespace

void format_time(const timespec& time, char* out) {
  static time_t cached = -1;
  static char text[kSecondsSize];
  if (time.tv_sec != cached) {
    format_seconds(time.tv_sec, text);
    cached = time.tv_sec;
  }
  std::memcpy(out, text, kSecondsSize);
  out[kSecondsSize] = '.';
  put_digits(out + kSecondsSize + 1, time.tv_nsec, 9);
  out[kTimeSize - 1] = 'Z';
}

std::string now_text() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  std::string text(kTimeSize, ' ');
  format_time(now, text.data());
  return text;
}

int64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

}  // namespace supervisor
