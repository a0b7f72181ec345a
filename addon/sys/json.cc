#include "sys/json.h"

#include <rapidjson/error/en.h>

namespace sys {
namespace {

constexpr int kMaxDepth = 64;

// Counted on the text, because the parser itself has no limit and its result is walked by recursive code.
bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') i++;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return false;
}

}  // namespace

Result<void> parse_json(rapidjson::Document& document, std::string_view text) {
  if (is_too_deep(text)) return error("parse json", "nested too deeply", EINVAL);
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  document.Parse<kFlags>(text.data(), text.size());
  if (document.HasParseError()) {
    return error("parse json",
                 std::string(rapidjson::GetParseError_En(document.GetParseError())) + " (at byte " +
                     std::to_string(document.GetErrorOffset()) + ")",
                 EINVAL);
  }
  return {};
}

const Json* json_member(const Json* object, const char* name) {
  if (object == nullptr || !object->IsObject()) return nullptr;
  const auto found = object->FindMember(name);
  if (found == object->MemberEnd() || found->value.IsNull()) return nullptr;
  return &found->value;
}

std::string JsonReader::text(const Json* object, const char* name, std::string fallback) {
  const Json* value = json_member(object, name);
  if (value == nullptr) return fallback;
  if (!value->IsString()) {
    fail(std::string(name) + " must be a string");
    return fallback;
  }
  // Every string here ends up in a system call, which would cut it at a NUL and use something else than was checked.
  const std::string_view view(value->GetString(), value->GetStringLength());
  if (view.find('\0') != std::string_view::npos) {
    fail(std::string(name) + " contains a NUL character");
    return fallback;
  }
  return std::string(view);
}

bool JsonReader::flag(const Json* object, const char* name, bool fallback) {
  const Json* value = json_member(object, name);
  if (value == nullptr) return fallback;
  if (!value->IsBool()) fail(std::string(name) + " must be true or false");
  return value->IsTrue();
}

std::optional<int64_t> JsonReader::integer(const Json* object, const char* name, int64_t low, int64_t high) {
  const Json* value = json_member(object, name);
  if (value == nullptr) return std::nullopt;
  if (!value->IsInt64()) {
    fail(std::string(name) + " must be an integer");
    return std::nullopt;
  }
  const int64_t number = value->GetInt64();
  if (number < low || number > high) {
    fail(std::string(name) + " must be between " + std::to_string(low) + " and " + std::to_string(high));
    return std::nullopt;
  }
  return number;
}

std::vector<std::string> JsonReader::texts(const Json* object, const char* name) {
  std::vector<std::string> result;
  const Json* list = array(object, name);
  if (list == nullptr) return result;
  result.reserve(list->Size());
  for (const Json& item : list->GetArray()) {
    if (!item.IsString()) {
      fail(std::string(name) + " must be an array of strings");
      break;
    }
    const std::string_view view(item.GetString(), item.GetStringLength());
    if (view.find('\0') != std::string_view::npos) {
      fail(std::string(name) + " contains a NUL character");
      break;
    }
    result.emplace_back(view);
  }
  return result;
}

const Json* JsonReader::object(const Json* object, const char* name) {
  const Json* value = json_member(object, name);
  if (value == nullptr || value->IsObject()) return value;
  fail(std::string(name) + " must be an object");
  return nullptr;
}

const Json* JsonReader::array(const Json* object, const char* name) {
  const Json* value = json_member(object, name);
  if (value == nullptr || value->IsArray()) return value;
  fail(std::string(name) + " must be an array");
  return nullptr;
}

void JsonReader::fail(const std::string& message) {
  if (message_.empty()) message_ = message;
}

Result<void> JsonReader::done() {
  if (message_.empty()) return {};
  return error(step_, message_, EINVAL);
}

}  // namespace sys
