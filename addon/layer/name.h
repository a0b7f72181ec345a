// Names of entries: made safe, told from whiteouts, and made readable for messages.
#pragma once

#include <string>
#include <string_view>

#include "sys/result.h"

namespace layer {

// Where an entry goes, relative to the layer's root: no leading or trailing slash, no "." or ".."; the root itself is
// "". ".." is resolved by text and stops at the root, as every engine does. Fails on a component over NAME_MAX bytes
// (others would cut it, and two files become one) and on more than `max_depth` components.
sys::Result<std::string> clean_name(std::string_view name, size_t max_depth);

// The folder's and the last component's part of a clean name.
std::string_view parent_of(std::string_view clean);
std::string_view base_of(std::string_view clean);

// What an entry's name makes of it (OCI image spec 1.1, layer.md, "Whiteouts"), whatever its type.
enum class NameKind {
  kOrdinary,
  kWhiteout,  // ".wh.NAME": hides NAME of lower layers
  kOpaque,    // ".wh..wh..opq": hides all that lower layers have in the folder
  kIgnored,   // bookkeeping of AUFS that hides nothing
};
// Fails on whiteouts of nothing, of "." and "..", on ".wh." in front of a folder's name on the way, and on AUFS's
// hardlink store.
sys::Result<NameKind> classify_name(std::string_view clean);
// The NAME of a kWhiteout's base.
std::string_view whiteout_target(std::string_view base);

// Readable and bounded: control characters and bytes that are not UTF-8 as \xNN, over 512 bytes cut.
std::string printable(std::string_view bytes);

}  // namespace layer
