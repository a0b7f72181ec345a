#include "supervisor/json_text.h"

#include "supervisor/host.h"

namespace supervisor {

JsonText& JsonText::put_members(std::string_view object) {
  rapidjson::Document document;
  if (!sys::parse_json(document, object) || !document.IsObject()) return *this;
  // Comparing mutable iterators is ambiguous to clang under C++20, hence no range-for.
  const sys::Json& members = document;
  for (auto member = members.MemberBegin(); member != members.MemberEnd(); ++member) {
    writer_.Key(member->name.GetString(), member->name.GetStringLength());
    member->value.Accept(writer_);
  }
  return *this;
}

std::string JsonText::text() {
  writer_.EndObject();
  return {buffer_.GetString(), buffer_.GetSize()};
}

std::string json_array(const std::vector<std::string>& values) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  writer.StartArray();
  for (const std::string& value : values) writer.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  writer.EndArray();
  return {buffer.GetString(), buffer.GetSize()};
}

std::string error_json(const sys::Error& error) {
  JsonText json;
  json.put("step", error.step).put("errno", error.err).put("message", describe(error));
  if (error.exit_code != 0) json.put("exitCode", error.exit_code);
  if (!error.path.empty()) json.put("path", error.path);
  return json.text();
}

}  // namespace supervisor
