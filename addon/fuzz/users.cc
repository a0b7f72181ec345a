// passwd and group of an image, and the user that its author or a caller wrote: split at NUL bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "jail/users.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto take = [&rest] {
    const size_t end = rest.find('\0');
    const std::string_view part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return part;
  };
  const std::string_view user = take();
  const std::string_view group = take();
  const std::string_view passwd = take();
  const auto identity = jail::parse_user(passwd, group, user, {std::string(rest)});
  if (!identity) return 0;
  // CVE-2024-40635: a number that is too large must not become another one.
  if (identity.value().uid > 0x7fffffff || identity.value().gid > 0x7fffffff) __builtin_trap();
  return 0;
}
