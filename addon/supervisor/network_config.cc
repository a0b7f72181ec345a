#include "supervisor/network_config.h"

#include <algorithm>
#include <cstdint>

namespace supervisor {
namespace {

// Of IPv4 (RFC 791) the least that a link must carry, and the most that a veth can.
constexpr int64_t kMinMtu = 68;
constexpr int64_t kMaxMtu = 65535;

net::Port parse_port(sys::JsonReader& reader, const sys::Json& entry) {
  net::Port port;
  port.host_address = reader.text(&entry, "hostAddress");
  port.host_port = static_cast<uint16_t>(reader.integer(&entry, "hostPort", 0, 65535).value_or(0));
  port.container_port = static_cast<uint16_t>(reader.integer(&entry, "containerPort", 1, 65535).value_or(0));
  const std::string protocol = reader.text(&entry, "protocol", "tcp");
  if (protocol == "udp") {
    port.protocol = net::Protocol::kUdp;
  } else if (protocol != "tcp") {
    reader.fail("dinghy.network.ports: protocol " + protocol + " is not supported");
  }
  return port;
}

std::vector<uint16_t> parse_host_ports(sys::JsonReader& reader, const sys::Json* network) {
  std::vector<uint16_t> ports;
  const sys::Json* list = reader.array(network, "hostPorts");
  if (list == nullptr) return ports;
  for (const sys::Json& entry : list->GetArray()) {
    const unsigned number = entry.IsUint() ? entry.GetUint() : 0;
    if (number < 1 || number > 65535) {
      reader.fail("dinghy.network.hostPorts must be ports");
      break;
    }
    ports.push_back(static_cast<uint16_t>(number));
  }
  return ports;
}

}  // namespace

bool has_resolver(const NetworkConfig& network) {
  return network.resolver || std::any_of(network.endpoints.begin(), network.endpoints.end(),
                                         [](const Endpoint& endpoint) { return !endpoint.names.empty(); });
}

std::string without_prefix(const std::string& cidr) { return cidr.substr(0, cidr.find('/')); }

Endpoint parse_endpoint(sys::JsonReader& reader, const sys::Json& entry) {
  Endpoint endpoint;
  endpoint.network = reader.text(&entry, "network");
  endpoint.names = reader.text(&entry, "names");
  endpoint.aliases = reader.texts(&entry, "aliases");
  endpoint.claims = reader.texts(&entry, "claims");
  net::Config& link = endpoint.link;
  link.number = static_cast<unsigned>(reader.integer(&entry, "number", 0, net::kMaxInterfaces - 1).value_or(0));
  link.bridge = reader.text(&entry, "bridge");
  link.lock = reader.text(&entry, "lock");
  link.subnet = reader.text(&entry, "subnet");
  link.gateway = reader.text(&entry, "gateway");
  link.address = reader.text(&entry, "address");
  link.gateway6 = reader.text(&entry, "gateway6");
  link.address6 = reader.text(&entry, "address6");
  link.mac = reader.text(&entry, "mac");
  link.mtu = static_cast<uint32_t>(reader.integer(&entry, "mtu", kMinMtu, kMaxMtu).value_or(0));
  link.default_route = reader.flag(&entry, "defaultRoute");
  link.internal = reader.flag(&entry, "internal");
  return endpoint;
}

NetworkConfig parse_network(sys::JsonReader& reader, const sys::Json* section) {
  NetworkConfig config;
  const sys::Json* network = reader.object(section, "network");
  const std::string mode = reader.text(network, "mode", "none");
  if (mode == "bridge") {
    config.mode = NetworkMode::kBridge;
  } else if (mode == "host") {
    config.mode = NetworkMode::kHost;
  } else if (mode == "container") {
    config.mode = NetworkMode::kContainer;
    config.lender = reader.text(network, "container");
    config.lender_socket = reader.text(network, "socket");
    if (config.lender_socket.empty()) reader.fail("dinghy.network.socket: is missing");
  } else if (mode != "none") {
    reader.fail("dinghy.network.mode: " + mode + " is not known");
  }
  if (config.mode != NetworkMode::kBridge) return config;
  if (const sys::Json* endpoints = reader.array(network, "endpoints")) {
    for (const sys::Json& entry : endpoints->GetArray()) config.endpoints.push_back(parse_endpoint(reader, entry));
  }
  config.dns = reader.texts(network, "dns");
  config.resolver = reader.flag(network, "resolver");
  config.host_ports = parse_host_ports(reader, network);
  if (const sys::Json* ports = reader.array(network, "ports")) {
    for (const sys::Json& entry : ports->GetArray()) config.ports.push_back(parse_port(reader, entry));
  }
  return config;
}

}  // namespace supervisor
