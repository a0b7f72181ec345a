// Wall-clock times as the log and the state have them, and the monotonic clock that time-outs run by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>

namespace supervisor {

constexpr size_t kTimeSize = 30;  // 2026-11-24T10:00:00.123456789Z

// Writes kTimeSize bytes, no terminator. The calendar part is computed once a second, as the log asks for it per read.
void format_time(const timespec& time, char* out);

// Now, by the wall clock.
std::string now_text();

// Milliseconds of CLOCK_BOOTTIME: it neither jumps when the clock is set nor stands still in a suspended machine.
int64_t monotonic_ms();

}  // namespace supervisor
