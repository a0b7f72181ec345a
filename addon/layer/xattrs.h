// Which extended attributes an image may carry.
#pragma once

#include <string_view>

namespace layer {

constexpr const char* kDefaultAcl = "system.posix_acl_default";

// overlayfs's own would let a layer redirect lookups into other folders; trusted.* is the kernel's and root's; SELinux
// labels and integrity signatures are the host's.
inline bool belongs_to_image(std::string_view attribute) {
  if (attribute.starts_with("user.")) return !attribute.starts_with("user.overlay.");
  return attribute == "security.capability" || attribute == "system.posix_acl_access" || attribute == kDefaultAcl;
}

}  // namespace layer
