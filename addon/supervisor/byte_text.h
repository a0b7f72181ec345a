// Bytes that somebody else chose, as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace supervisor {

// Appends a name as a JSON string. Its bytes are whatever the archive had: what is no UTF-8 becomes U+DC80…U+DCFF.
void append_name(std::string& json, std::string_view name);

// An array of such strings.
std::string byte_array(const std::vector<std::string>& texts);

}  // namespace supervisor
