// What a killed supervisor can leave behind: the bridge (its veths go with the container's namespace), or a veth whose
// namespace something else still holds.
#include <algorithm>

#include "net/bridge.h"
#include "net/forwarding.h"
#include "net/links.h"
#include "net/network.h"

namespace net {
namespace {

constexpr std::size_t kIdAt = 3;
constexpr std::size_t kIdSize = 12;

bool is_our_veth(const Link& link) {
  return link.kind == "veth" && link.name.starts_with("dg") && link.name.size() == kIdAt + kIdSize &&
         link.name.find_first_not_of("0123456789abcdef", kIdAt) == std::string::npos;
}

}  // namespace

sys::Result<void> clean_links(const std::vector<std::string>& names) {
  auto socket = Netlink::create(NETLINK_ROUTE);
  if (!socket) return socket.take_failure();
  std::vector<std::string> bridges;
  for (const std::string& name : names) {
    auto link = find_link(*socket, name);
    if (!link) return link.take_failure();
    if (*link && is_our_veth(**link)) SYS_TRY(delete_link(*socket, name));
    if (*link && is_our_bridge(**link)) bridges.push_back(name);
  }
  for (const std::string& bridge : bridges) SYS_TRY(remove_unused_bridge(*socket, bridge));
  return {};
}

sys::Result<std::vector<std::string>> stale_links(std::string_view bridge, const std::vector<std::string>& living_ids) {
  auto socket = Netlink::create(NETLINK_ROUTE);
  if (!socket) return socket.take_failure();
  auto link = find_link(*socket, bridge);
  if (!link) return link.take_failure();
  std::vector<std::string> stale;
  if (!*link || !is_our_bridge(**link)) return stale;
  auto ports = list_links(*socket, (*link)->index);
  if (!ports) return ports.take_failure();
  for (const Link& port : *ports) {
    if (!is_our_veth(port)) continue;
    bool lives = std::any_of(living_ids.begin(), living_ids.end(),
                             [&](const std::string& id) { return port.name.substr(kIdAt) == id.substr(0, kIdSize); });
    if (!lives) stale.push_back(port.name);
  }
  if (stale.size() == ports->size()) stale.emplace_back(bridge);
  return stale;
}

}  // namespace net
