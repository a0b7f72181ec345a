// config.json: the OCI specification and the dinghy section. It comes from the library, but a folder may hold anything.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "jail/spec.h"
#include "supervisor/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = supervisor::parse_config(text);
  // What is accepted can be acted upon.
  if (config && (config->stop_signal < 1 || config->stop_signal > 64 || config->id.size() < 12)) __builtin_trap();
  auto process = jail::parse_process(text);
  if (!process && process.failure().step.empty()) __builtin_trap();
  return 0;
}
