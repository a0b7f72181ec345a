// Who a process runs as: the `user` of an image or of exec, looked up in the container's own passwd and group.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "sys/result.h"

namespace jail {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // for setgroups(2): the primary one is among them (CVE-2023-25173)
  std::string home;           // "/" when passwd says nothing
};

// `user` is "", "name", "uid", "name:group", "uid:gid" and the mixtures; "" is root. Numbers are decimal, at most
// 2^31-1, and are never looked up as names (CVE-2024-40635: an overflowing number must not become a name, nor uid 0).
// Without an explicit group the user's memberships in `group` are added. Malformed lines of either file are skipped.
// Pure: hostile input of any form gives a result or an error.
sys::Result<Identity> parse_user(std::string_view passwd, std::string_view group, std::string_view user,
                                 const std::vector<std::string>& group_add);

// The same with the files read from `root`, the container's root folder: regular files of at most 10 MiB, links
// resolved within the root. A missing file is an empty one.
sys::Result<Identity> find_user(int root, std::string_view user, const std::vector<std::string>& group_add);

}  // namespace jail
