// JSON that this program writes.
#pragma once

#include <string>
#include <string_view>

#include "sys/json.h"
#include "sys/result.h"

namespace supervisor {

// One object, built member by member.
class JsonText {
 public:
  JsonText() : writer_(buffer_) { writer_.StartObject(); }

  JsonText& put(const char* name, std::string_view value) {
    writer_.Key(name);
    writer_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
    return *this;
  }
  JsonText& put(const char* name, const char* value) { return put(name, std::string_view(value)); }
  JsonText& put(const char* name, bool value) {
    writer_.Key(name);
    writer_.Bool(value);
    return *this;
  }
  JsonText& put(const char* name, int value) { return put(name, int64_t{value}); }
  JsonText& put(const char* name, int64_t value) {
    writer_.Key(name);
    writer_.Int64(value);
    return *this;
  }
  JsonText& put(const char* name, uint64_t value) {
    writer_.Key(name);
    writer_.Uint64(value);
    return *this;
  }
  JsonText& put_null(const char* name) {
    writer_.Key(name);
    writer_.Null();
    return *this;
  }
  // `json` is a whole value already.
  JsonText& put_raw(const char* name, std::string_view json) {
    writer_.Key(name);
    writer_.RawValue(json.data(), json.size(), rapidjson::kObjectType);
    return *this;
  }
  // The members of another object's text ("{…}") become members of this one.
  JsonText& put_members(std::string_view object);

  [[nodiscard]] std::string text();

 private:
  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_;
};

// `["a","b"]`.
std::string json_array(const std::vector<std::string>& values);

// The protocol's `error` object. Where the failure has no sentence of its own, the kernel's is used.
std::string error_json(const sys::Error& error);

}  // namespace supervisor
