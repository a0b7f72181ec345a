#include "net/resolver.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "net/address.h"
#include "net/dns_service.h"
#include "net/endpoint.h"
#include "net/inside.h"
#include "net/namespace.h"
#include "sys/small_file.h"

namespace net {
namespace {

constexpr int kExitSetup = 1;
constexpr std::uint16_t kDnsPort = 53;
constexpr std::uint16_t kInsidePort = 64053;
constexpr std::size_t kOtherDescriptors = 128;  // clients over TCP, folders, and what else is open
constexpr std::size_t kMaxQuestions = 512;      // on their way at a time
constexpr std::int64_t kLastAnswersMs = 5000;   // the relay needs no longer

std::size_t question_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_max = 1024;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t all = std::max<rlim_t>(limit.rlim_max, 2 * kOtherDescriptors);
  return std::min((all - kOtherDescriptors) / kMaxServers, kMaxQuestions);
}

std::multimap<std::string, Address> addresses_of(const std::multimap<std::string, std::string>& hosts) {
  std::multimap<std::string, Address> addresses;
  for (const auto& [name, text] : hosts) {
    if (const auto address = parse_any_address(text)) addresses.emplace(name, *address);
  }
  return addresses;
}

DnsServers servers_of(const ResolverConfig& config) {
  if (config.servers.empty()) return DnsServers(config.resolv_conf);
  std::vector<Endpoint> servers;
  for (const std::string& text : config.servers) {
    const auto server = parse_endpoint(text, kDnsPort);
    if (server && servers.size() < kMaxServers) servers.push_back(*server);
  }
  return DnsServers(std::move(servers));
}

// What was asked before its successor came is answered by the one that was asked.
void give_last_answers(EventLoop& loop, DnsService& service) {
  sys::Fd(kControl).reset();  // its end would be told in every turn
  service.finish();
  const std::int64_t end = now_ms() + kLastAnswersMs;
  int wait = service.settle();
  while (!service.is_idle() && now_ms() < end) {
    if (!loop.turn(wait)) return;
    wait = service.settle();
  }
}

// The body of the helper: the sockets and then the folders are kFirstKept and the following.
int serve(const ResolverConfig& config) {
  auto loop = EventLoop::create();
  if (!loop) return kExitSetup;
  int next = kFirstKept;
  sys::Fd udp(next++);
  sys::Fd tcp(next++);
  std::vector<NameFolder> networks;
  networks.reserve(config.networks.size());
  for (const auto& network : config.networks) networks.emplace_back(sys::Fd(next++), network.name);
  std::optional<DnsRelay> relay;
  const std::size_t limit = question_limit();
  if (!config.is_internal || !config.servers.empty()) relay.emplace(*loop, servers_of(config), limit);
  DnsService service(*loop, DnsZone(std::move(networks), addresses_of(config.hosts)), std::move(relay));
  ControlTarget over;
  if (!service.serve(std::move(udp), std::move(tcp))) return kExitSetup;
  if (!loop->watch(kControl, EPOLLIN | EPOLLRDHUP, over)) return kExitSetup;
  while (!over.is_over) {
    if (!loop->turn(service.settle())) return kExitSetup;
  }
  give_last_answers(*loop, service);
  return 0;
}

}  // namespace

sys::Result<ResolverSockets> open_resolver(int netns) {
  ResolverSockets sockets;
  sockets.netns.reset(fcntl(netns, F_DUPFD_CLOEXEC, 0));
  if (!sockets.netns) return sys::errno_error("open resolver");
  const auto open = [&](sys::Fd& where, sys::Result<sys::Fd> opened) -> sys::Result<void> {
    if (!opened) return opened.take_failure();
    where = std::move(*opened);
    return {};
  };
  SYS_TRY(in_namespace(netns, [&]() -> sys::Result<void> {
    SYS_TRY(open(sockets.udp, bind_inside(SOCK_DGRAM, kInsidePort)));
    SYS_TRY(open(sockets.tcp, bind_inside(SOCK_STREAM, kInsidePort)));
    const std::uint32_t address = *parse_address(kInsideAddress);
    return open(sockets.rules, redirect_inside("dinghy-resolver", {{IPPROTO_UDP, address, kDnsPort, kInsidePort},
                                                                   {IPPROTO_TCP, address, kDnsPort, kInsidePort}}));
  }));
  return sockets;
}

sys::Result<Helper> start_resolver(const ResolverSockets& sockets, const ResolverConfig& config) {
  std::vector<sys::Fd> folders;
  std::vector<int> keep{sockets.udp.get(), sockets.tcp.get()};
  for (const auto& network : config.networks) {
    auto folder = sys::open(AT_FDCWD, network.folder.c_str(), O_RDONLY | O_DIRECTORY);
    if (!folder) return folder.take_failure();
    keep.push_back(folder->get());
    folders.push_back(std::move(*folder));
  }
  sys::Result<Helper> helper = sys::error("start resolver", "");
  const auto start = [&]() -> sys::Result<void> {
    helper = start_helper("dinghy-resolve", keep, [&] { return serve(config); });
    return {};
  };
  // It is born where it asks from: once it has no privilege it cannot move.
  if (config.servers.empty()) {
    SYS_TRY(start());
  } else {
    SYS_TRY(in_namespace(sockets.netns.get(), start));
  }
  return helper;
}

}  // namespace net
