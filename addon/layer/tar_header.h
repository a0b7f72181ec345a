// The 512-byte block that begins every member: V7, ustar (POSIX.1-1988, pax(1)), GNU and star, told apart by their
// magic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "layer/tar_entry.h"
#include "sys/result.h"

namespace layer {

constexpr size_t kBlockSize = 512;
using Block = std::array<uint8_t, kBlockSize>;

// What the block says, before extension headers change it.
struct Header {
  uint8_t flag = 0;
  std::string name;  // prefix included
  std::string link;
  uint32_t mode = 0;
  int64_t uid = 0;
  int64_t gid = 0;
  int64_t size = 0;  // of the stored data, never negative
  Time modified;
  std::optional<Time> accessed;
  int64_t device_major = 0;
  int64_t device_minor = 0;
  bool gnu = false;
};

bool is_zero(const Block& block);

// Fails on a wrong checksum (sums of signed and of unsigned bytes are both accepted: old tars used the former) and on
// numbers that are none or are out of range.
sys::Result<Header> parse_header(const Block& block);

// Octal text, padded with spaces or NULs, or GNU base-256 (first bit set, two's complement). False if it is neither or
// needs over 64 bits.
bool parse_number(std::span<const uint8_t> field, int64_t& value);

// Up to the first NUL, or all of it.
std::string parse_string(std::span<const uint8_t> field);

}  // namespace layer
