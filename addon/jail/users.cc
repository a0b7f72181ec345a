#include "jail/users.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <optional>

#include "sys/kernel.h"
#include "sys/small_file.h"

namespace jail {
namespace {

constexpr size_t kMaxFile = 10U << 20U;
// Docker's bound. Above it ids would be negative to programs that keep them in an int.
constexpr uint32_t kMaxId = 0x7fffffff;

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<uint32_t> id_of(std::string_view text) {
  if (!is_number(text)) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    value = value * 10 + static_cast<uint64_t>(c - '0');
    if (value > kMaxId) return std::nullopt;
  }
  return static_cast<uint32_t>(value);
}

// Calls `visit` with the fields of each line that has all N; the last field takes the rest. Stops when it returns true.
template <size_t N, class Visit>
void each_line(std::string_view file, Visit visit) {
  while (!file.empty()) {
    const size_t end = file.find('\n');
    std::string_view line = file.substr(0, end);
    file = end == std::string_view::npos ? std::string_view() : file.substr(end + 1);
    std::array<std::string_view, N> fields;
    size_t count = 0;
    for (; count < N; count++) {
      const size_t colon = count + 1 < N ? line.find(':') : std::string_view::npos;
      fields[count] = line.substr(0, colon);
      if (colon == std::string_view::npos) {
        count++;
        break;
      }
      line = line.substr(colon + 1);
    }
    if (count == N && visit(fields)) return;
  }
}

struct PasswdEntry {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string home;
};

// name:password:uid:gid:gecos:home:shell, passwd(5). The shell may be missing.
std::optional<PasswdEntry> find_passwd(std::string_view passwd, std::string_view name, std::optional<uint32_t> uid) {
  std::optional<PasswdEntry> found;
  each_line<6>(passwd, [&](const auto& fields) {
    const auto entry_uid = id_of(fields[2]);
    const auto entry_gid = id_of(fields[3]);
    if (!entry_uid || !entry_gid || fields[0].empty()) return false;
    if (uid ? *entry_uid != *uid : fields[0] != name) return false;
    found = PasswdEntry{std::string(fields[0]), *entry_uid, *entry_gid,
                        std::string(fields[5].substr(0, fields[5].find(':')))};
    return true;
  });
  return found;
}

std::optional<uint32_t> find_group(std::string_view group, std::string_view name) {
  std::optional<uint32_t> gid;
  each_line<3>(group, [&](const auto& fields) {
    if (fields[0] != name) return false;
    gid = id_of(fields[2].substr(0, fields[2].find(':')));
    return gid.has_value();
  });
  return gid;
}

// name:password:gid:member,member…, group(5).
void add_memberships(std::string_view group, std::string_view user, std::vector<gid_t>& groups) {
  each_line<4>(group, [&](const auto& fields) {
    const auto gid = id_of(fields[2]);
    std::string_view members = fields[3];
    while (gid && !members.empty()) {
      const size_t comma = members.find(',');
      if (members.substr(0, comma) == user) {
        groups.push_back(*gid);
        break;
      }
      members = comma == std::string_view::npos ? std::string_view() : members.substr(comma + 1);
    }
    return false;
  });
}

sys::Error user_error(const std::string& message) { return sys::error("find user", message, EINVAL); }

sys::Result<uint32_t> group_id(std::string_view group, std::string_view wanted) {
  if (is_number(wanted)) {
    const auto gid = id_of(wanted);
    if (gid) return *gid;
    return user_error("group " + std::string(wanted.substr(0, 64)) + " is out of range");
  }
  const auto gid = find_group(group, wanted);
  if (gid) return *gid;
  return user_error("no group '" + std::string(wanted.substr(0, 64)) + "' in /etc/group of the image");
}

sys::Result<std::string> read_database(int root, const char* path) {
  // O_NONBLOCK: opening a FIFO that an image put there must not wait for a writer (CVE-2024-9676 and its kin).
  auto fd = sys::open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, sys::kInRoot);
  if (!fd) {
    if (fd.failure().err == ENOENT || fd.failure().err == ENOTDIR) return std::string();
    sys::Error failure = fd.take_failure();
    failure.step = "find user";
    return failure;
  }
  auto content = sys::read_opened(fd->get(), path, kMaxFile);
  if (content) return content;
  sys::Error failure = content.take_failure();
  failure.step = "find user";
  return failure;
}

}  // namespace

sys::Result<Identity> parse_user(std::string_view passwd, std::string_view group, std::string_view user,
                                 const std::vector<std::string>& group_add) {
  const size_t colon = user.find(':');
  const std::string_view user_part = user.substr(0, colon);
  const std::string_view group_part = colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);
  if (group_part.find(':') != std::string_view::npos) {
    return user_error("'" + std::string(user.substr(0, 64)) + "' is not of the form user:group");
  }

  std::optional<uint32_t> uid;
  std::string_view name = user_part;
  if (name.empty()) {
    uid = 0;
  } else if (is_number(name)) {
    uid = id_of(name);
    if (!uid) return user_error("user " + std::string(name.substr(0, 64)) + " is out of range");
  }
  const auto entry = find_passwd(passwd, name, uid);
  // "root" needs no database: an image from scratch may say it.
  if (!entry && !uid && name == "root") uid = 0;
  if (!entry && !uid)
    return user_error("no user '" + std::string(name.substr(0, 64)) + "' in /etc/passwd of the image");

  Identity identity;
  identity.uid = entry ? entry->uid : *uid;
  identity.gid = entry ? entry->gid : 0;
  identity.home = entry && !entry->home.empty() ? entry->home : "/";
  if (!group_part.empty()) {
    auto gid = group_id(group, group_part);
    if (!gid) return gid.take_failure();
    identity.gid = *gid;
  }
  identity.groups.push_back(identity.gid);
  if (group_part.empty() && entry) add_memberships(group, entry->name, identity.groups);
  for (const std::string& extra : group_add) {
    auto gid = group_id(group, extra);
    if (!gid) return gid.take_failure();
    identity.groups.push_back(*gid);
  }
  std::sort(identity.groups.begin(), identity.groups.end());
  identity.groups.erase(std::unique(identity.groups.begin(), identity.groups.end()), identity.groups.end());
  return identity;
}

sys::Result<Identity> find_user(int root, std::string_view user, const std::vector<std::string>& group_add) {
  auto passwd = read_database(root, "etc/passwd");
  if (!passwd) return passwd.take_failure();
  auto group = read_database(root, "etc/group");
  if (!group) return group.take_failure();
  return parse_user(*passwd, *group, user, group_add);
}

}  // namespace jail
