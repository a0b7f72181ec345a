// RapidJSON as this project uses it: bounded, iterative, and never asserting on what was read.
#pragma once

// A failed assertion must stop the process: with NDEBUG it would be undefined behaviour on hostile input.
#define RAPIDJSON_ASSERT(x)     \
  do {                          \
    if (!(x)) __builtin_trap(); \
  } while (0)
#define RAPIDJSON_HAS_STDSTRING 1
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/result.h"

namespace sys {

using Json = rapidjson::Value;

// `document` holds the parsed text: strict JSON in valid UTF-8, nested at most 64 deep (RapidJSON's visitors recurse).
Result<void> parse_json(rapidjson::Document& document, std::string_view text);

// The member, or null when the value is no object, has no such member, or has JSON null there.
const Json* json_member(const Json* object, const char* name);

// Reads typed members and remembers the first that had a wrong type; a missing one leaves the default.
class JsonReader {
 public:
  explicit JsonReader(std::string step) : step_(std::move(step)) {}

  std::string text(const Json* object, const char* name, std::string fallback = {});
  bool flag(const Json* object, const char* name, bool fallback = false);
  // Numbers that JavaScript wrote: integers, within [low, high].
  std::optional<int64_t> integer(const Json* object, const char* name, int64_t low, int64_t high);
  std::vector<std::string> texts(const Json* object, const char* name);
  const Json* object(const Json* object, const char* name);
  const Json* array(const Json* object, const char* name);
  // Notes a failure of the caller's own.
  void fail(const std::string& message);

  [[nodiscard]] Result<void> done();

 private:
  std::string step_;
  std::string message_;
};

}  // namespace sys
