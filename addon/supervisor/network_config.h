// The network of a container, as config.json has it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/network.h"
#include "sys/json.h"

namespace supervisor {

enum class NetworkMode { kNone, kHost, kBridge, kContainer };

// The container's place on one network.
struct Endpoint {
  std::string network;               // what people call the network
  net::Config link;                  // the kernel's side of it
  std::string names;                 // the folder in which its names are told; empty where there are none
  std::vector<std::string> aliases;  // more names of it there
  std::vector<std::string> claims;   // the files that hold its addresses
};

struct NetworkConfig {
  NetworkMode mode = NetworkMode::kNone;
  std::vector<Endpoint> endpoints;  // of kBridge
  std::vector<std::string> dns;     // of kBridge: servers to ask instead of the host's
  bool resolver = false;            // of kBridge: its resolv.conf names one, though no network of it has names any more
  std::vector<net::Port> ports;     // of kBridge
  std::vector<uint16_t> host_ports;  // of kBridge: of the host's loopback, which the container reaches
  std::string lender;                // of kContainer: the id of the container whose network it has,
  std::string lender_socket;         // and where its supervisor listens
};

// Whether the container has a resolver of its own, which its resolv.conf names.
bool has_resolver(const NetworkConfig& network);

// "10.1.2.3" of "10.1.2.3/16".
std::string without_prefix(const std::string& cidr);

// The member `network` of the section `dinghy`.
NetworkConfig parse_network(sys::JsonReader& reader, const sys::Json* section);

// An entry of its `endpoints`.
Endpoint parse_endpoint(sys::JsonReader& reader, const sys::Json& entry);

}  // namespace supervisor
