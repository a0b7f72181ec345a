// Finding and making paths inside a root that its owner, the container's image or another container, may be changing
// meanwhile.
#pragma once

#include <string>
#include <string_view>

#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// "a//b/./c/../d" without its leading slash: "a/b/d". ".." never climbs above the root.
std::string clean_path(std::string_view path);

enum class TargetKind { kFolder, kFile };

// An O_PATH descriptor of `path` within `root`; what is missing was created (folders 0755, a file 0644, owned by the
// caller). Links are followed as if `root` were "/", dangling ones are made to lead somewhere, magic links are refused.
// A target of the other kind is the error ENOTDIR or EISDIR. Never touches anything outside `root`, whatever is renamed
// meanwhile (CVE-2021-30465, CVE-2024-45310).
sys::Result<sys::Fd> make_target(int root, std::string_view path, TargetKind kind);

// The same for a path that must consist of plain folders: a link anywhere in it is the error ELOOP (CVE-2019-19921: an
// image with /proc -> /x).
sys::Result<sys::Fd> make_plain_folder(int root, std::string_view path);

}  // namespace jail
