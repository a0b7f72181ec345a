// A container's networks change while it lives.
#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "supervisor/config_draft.h"
#include "supervisor/container.h"
#include "supervisor/hosts_file.h"
#include "supervisor/resolv_conf.h"

namespace supervisor {
namespace {

sys::Json& network_in(rapidjson::Document& config) {
  JsonAllocator& allocator = config.GetAllocator();
  return object_in(object_in(config, "dinghy", allocator), "network", allocator);
}

sys::Json& endpoints_in(rapidjson::Document& config) {
  JsonAllocator& allocator = config.GetAllocator();
  sys::Json& network = network_in(config);
  if (!network.HasMember("endpoints")) {
    network.AddMember("endpoints", sys::Json(rapidjson::kArrayType), allocator);
  }
  return network["endpoints"];
}

bool is_of(const sys::Json& endpoint, const std::string& network) {
  const sys::Json* name = sys::json_member(&endpoint, "network");
  return name != nullptr && name->IsString() && network == name->GetString();
}

sys::Result<void> draft_with(const Config& config, const sys::Json& endpoint) {
  rapidjson::Document json;
  SYS_TRY(load_config(config.bundle, json));
  endpoints_in(json).PushBack(sys::Json(endpoint, json.GetAllocator()), json.GetAllocator());
  auto drafted = draft_config(config.bundle, json, config.detached);
  return drafted ? sys::Result<void>() : drafted.take_failure();
}

sys::Result<void> draft_without(const Config& config, const std::string& network, const Endpoint* heir) {
  rapidjson::Document json;
  SYS_TRY(load_config(config.bundle, json));
  if (has_resolver(config.network)) set_member(network_in(json), "resolver", sys::Json(true), json.GetAllocator());
  sys::Json& endpoints = endpoints_in(json);
  for (auto* entry = endpoints.Begin(); entry != endpoints.End();) {
    if (heir != nullptr && is_of(*entry, heir->network)) {
      set_member(*entry, "defaultRoute", sys::Json(true), json.GetAllocator());
    }
    entry = is_of(*entry, network) ? endpoints.Erase(entry) : entry + 1;
  }
  auto drafted = draft_config(config.bundle, json, config.detached);
  return drafted ? sys::Result<void>() : drafted.take_failure();
}

// Where the host is reached: as makeHosts() in lib/run/etc-files.ts has it. Empty without a network.
std::string host_address(const std::vector<Endpoint>& endpoints) {
  const auto found = std::find_if(endpoints.begin(), endpoints.end(),
                                  [](const Endpoint& endpoint) { return endpoint.link.default_route; });
  if (found != endpoints.end()) return found->link.gateway;
  return endpoints.empty() ? "" : endpoints.front().link.gateway;
}

sys::Result<void> move_host(const HostsFile& hosts, const std::vector<Endpoint>& endpoints) {
  const std::string address = host_address(endpoints);
  return address.empty() ? sys::Result<void>() : hosts.move_host(address);
}

std::vector<std::string> addresses_of(const Endpoint& endpoint) {
  std::vector<std::string> addresses{without_prefix(endpoint.link.address)};
  if (!endpoint.link.address6.empty()) addresses.push_back(without_prefix(endpoint.link.address6));
  return addresses;
}

sys::Result<void> add_hosts(const HostsFile& hosts, const Endpoint& endpoint, const std::string& name) {
  for (const std::string& address : addresses_of(endpoint)) SYS_TRY(hosts.add(address, name));
  return {};
}

// As in Docker an unwritable hosts file keeps nobody on a network.
void remove_hosts(const HostsFile& hosts, const Endpoint& endpoint, const std::string& name) {
  for (const std::string& address : addresses_of(endpoint)) (void)hosts.remove(address, name).ok();
}

}  // namespace

sys::Result<void> Container::connect(const sys::Json& request) {
  sys::JsonReader reader("connect");
  const sys::Json* entry = reader.object(&request, "endpoint");
  if (entry == nullptr) return sys::error("connect", "the endpoint is missing", EINVAL);
  const Endpoint endpoint = parse_endpoint(reader, *entry);
  SYS_TRY(reader.done());
  NetworkConfig& network = config_.network;
  if (network.mode != NetworkMode::kBridge) return sys::error("connect", "the container has no bridge", EINVAL);
  for (const Endpoint& other : network.endpoints) {
    if (other.network == endpoint.network || other.link.number == endpoint.link.number) {
      return sys::error("connect", "the container is on this network, or has this interface, already", EEXIST);
    }
  }
  const HostsFile hosts(config_.bundle);
  SYS_TRY(draft_with(config_, *entry));
  // The file first: were we killed after the kernel has it, it says what there is to be cleaned up.
  auto outcome = try_draft(config_.bundle);
  if (!outcome) {
    drop_draft(config_.bundle);
    return outcome;
  }
  const bool had_resolver = has_resolver(network);
  network.endpoints.push_back(endpoint);
  outcome = add_hosts(hosts, endpoint, config_.spec.hostname);
  if (outcome) outcome = network_.join(endpoint);
  if (outcome && !had_resolver && has_resolver(network)) outcome = ask_own_resolver(config_.bundle);
  if (!outcome) {
    network.endpoints.pop_back();
    (void)network_.leave(endpoint.network, nullptr).ok();
    (void)network_.update_services().ok();
    remove_hosts(hosts, endpoint, config_.spec.hostname);
    restore_config(config_.bundle);
    return outcome;
  }
  forget_old_config(config_.bundle);
  (void)move_host(hosts, network.endpoints).ok();
  note_networks();
  return {};
}

sys::Result<void> Container::disconnect(const sys::Json& request) {
  sys::JsonReader reader("disconnect");
  const std::string name = reader.text(&request, "network");
  SYS_TRY(reader.done());
  auto& endpoints = config_.network.endpoints;
  const auto found =
      std::find_if(endpoints.begin(), endpoints.end(), [&](const Endpoint& each) { return each.network == name; });
  if (found == endpoints.end()) return sys::error("disconnect", "the container is not on this network", ENOENT);
  // Its way out, if it was that, is another's.
  const auto next = std::find_if(endpoints.begin(), endpoints.end(),
                                 [&](const Endpoint& each) { return each.network != name && !each.link.internal; });
  Endpoint* heir = found->link.default_route && next != endpoints.end() ? &*next : nullptr;
  SYS_TRY(draft_without(config_, name, heir));
  // The kernel first, for the same reason.
  auto outcome = network_.leave(name, heir);
  if (outcome) {
    outcome = adopt_draft(config_.bundle);
    if (!outcome) (void)network_.join(*found).ok();
  }
  if (!outcome) {
    drop_draft(config_.bundle);
    return outcome;
  }
  if (heir != nullptr) heir->link.default_route = true;
  const Endpoint left = *found;
  config_.network.resolver = has_resolver(config_.network);
  endpoints.erase(found);
  const HostsFile hosts(config_.bundle);
  remove_hosts(hosts, left, config_.spec.hostname);
  (void)move_host(hosts, endpoints).ok();
  (void)network_.update_services().ok();
  release_claims(left);
  note_networks();
  return {};
}

void Container::note_networks() {
  if (phase_ != Phase::kRunning) return;
  state_.ports = network_.ports();
  state_.address = network_.address();
  publish();
}

}  // namespace supervisor
