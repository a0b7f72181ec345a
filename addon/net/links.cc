#include "net/links.h"

#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace net {
namespace {

Link parse_link(const nlmsghdr& message) {
  Link link;
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) return link;
  const auto* header = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
  link.index = header->ifi_index;
  link.is_up = (header->ifi_flags & IFF_UP) != 0;
  const auto* attributes = reinterpret_cast<const std::byte*>(header) + NLMSG_ALIGN(sizeof(ifinfomsg));
  std::size_t size = message.nlmsg_len - NLMSG_SPACE(sizeof(ifinfomsg));
  for_each_attribute(attributes, size, [&](const Attribute& attribute) {
    if (attribute.type == IFLA_IFNAME) link.name = attribute.text();
    if (attribute.type == IFLA_IFALIAS) link.alias = attribute.text();
    if (attribute.type == IFLA_MASTER) link.master = static_cast<int>(attribute.u32());
    if (attribute.type == IFLA_LINKINFO) {
      for_each_attribute(attribute.data, attribute.size, [&](const Attribute& info) {
        if (info.type == IFLA_INFO_KIND) link.kind = info.text();
      });
    }
  });
  return link;
}

void begin_get(Batch& batch, unsigned flags) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  batch.begin("list links", RTM_GETLINK, flags, header);
  batch.number<std::uint32_t>(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

}  // namespace

sys::Result<std::optional<Link>> find_link(Netlink& socket, std::string_view name) {
  Batch batch;
  begin_get(batch, 0);
  batch.attribute(IFLA_IFNAME, name);
  std::optional<Link> found;
  auto result = socket.talk(batch, [&](const nlmsghdr& message) {
    if (message.nlmsg_type == RTM_NEWLINK) found = parse_link(message);
  });
  if (!result && result.failure().err != ENODEV) return result.take_failure();
  return found;
}

sys::Result<std::vector<Link>> list_links(Netlink& socket, int master) {
  Batch batch;
  begin_get(batch, NLM_F_DUMP);
  if (master != 0) batch.number<std::uint32_t>(IFLA_MASTER, static_cast<std::uint32_t>(master));
  std::vector<Link> links;
  SYS_TRY(socket.talk(batch, [&](const nlmsghdr& message) {
    if (message.nlmsg_type != RTM_NEWLINK) return;
    Link link = parse_link(message);
    if (master == 0 || link.master == master) links.push_back(std::move(link));
  }));
  return links;
}

void begin_set_link(Batch& batch, const char* step, int index, bool up) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = index;
  if (up) header.ifi_flags = header.ifi_change = IFF_UP;
  batch.begin(step, RTM_SETLINK, NLM_F_ACK, header);
}

void begin_set_link(Batch& batch, const char* step, std::string_view name, bool up) {
  begin_set_link(batch, step, 0, up);
  batch.attribute(IFLA_IFNAME, name);
}

sys::Result<void> delete_link(Netlink& socket, std::string_view name) {
  Batch batch;
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  batch.begin("delete link", RTM_DELLINK, NLM_F_ACK, header);
  batch.attribute(IFLA_IFNAME, name);
  auto result = socket.talk(batch);
  if (!result && result.failure().err != ENODEV) return result;
  return {};
}

sys::Result<void> delete_links(Netlink& socket, std::initializer_list<std::string_view> names) {
  // The kernel removes many links at once only by their group: so they get one that nobody else has.
  std::uint32_t group = 0;
  if (getrandom(&group, sizeof group, 0) != sizeof group) return sys::errno_error("getrandom");
  group |= 0x80000000;
  Batch batch;
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  for (std::string_view name : names) {
    if (name.empty()) continue;
    begin_set_link(batch, "delete link", name, false);
    batch.number(IFLA_GROUP, group);
  }
  batch.begin("delete link", RTM_DELLINK, NLM_F_ACK, header);
  batch.number(IFLA_GROUP, group);
  auto result = socket.talk(batch);
  if (!result && result.failure().err != ENODEV) return result;
  return {};
}

void without_ipv6_address(Batch& batch) {
  if (access("/proc/sys/net/ipv6", F_OK) != 0) return;
  std::size_t families = batch.open(IFLA_AF_SPEC);
  std::size_t ipv6 = batch.open(AF_INET6);
  batch.number<std::uint8_t>(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  batch.close(ipv6);
  batch.close(families);
}

}  // namespace net
