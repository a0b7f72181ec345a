#include <cerrno>

#include "jail/cgroup.h"
#include "jail/jail.h"
#include "net/network.h"
#include "supervisor/config.h"
#include "supervisor/handshake.h"
#include "supervisor/json_text.h"
#include "supervisor/modes.h"
#include "supervisor/process.h"
#include "supervisor/rootless.h"
#include "supervisor/volume_users.h"
#include "sys/tree.h"

namespace supervisor {
namespace {

struct Outcome {
  uint64_t freed = 0;
  sys::Result<void> first;

  void add(sys::Result<void> result) {
    if (!result && first) first = std::move(result);
  }
};

// Whatever still runs in it has lost its supervisor.
sys::Result<void> remove_cgroup(const std::string& path) {
  jail::Cgroup cgroup = jail::Cgroup::open(path);
  if (cgroup.populated()) SYS_TRY(cgroup.kill());
  return cgroup.remove();
}

void remove_all(const std::vector<std::string>& paths, Outcome& outcome) {
  for (const std::string& path : paths) {
    auto removed = sys::remove_tree(path, true);
    if (removed) {
      outcome.freed += *removed;
    } else {
      outcome.add(removed.take_failure());
    }
  }
}

// Goes through everything: what one failure leaves must not keep the rest.
sys::Result<uint64_t> clean(const Request& request) {
  if (request.op != "clean") return sys::error("clean", "the only request is clean", EPROTO);
  sys::JsonReader reader("clean");
  const auto trees = reader.texts(&request.document, "trees");
  const auto cgroups = reader.texts(&request.document, "cgroups");
  const auto links = reader.texts(&request.document, "links");
  const auto files = reader.texts(&request.document, "files");
  const auto volumes = parse_anonymous_volumes(reader, &request.document);
  const auto container = reader.text(&request.document, "container");
  const auto rootless = parse_rootless(reader, &request.document);
  SYS_TRY(reader.done());
  // Files of subordinate ids can be removed only where these are mapped.
  if (rootless) SYS_TRY(enter_rootless(*rootless));

  Outcome outcome;
  // Processes first: they would go on writing into the folders.
  for (const std::string& path : cgroups) outcome.add(remove_cgroup(path));
  // A killed supervisor leaves the cgroup that detached ones share. EBUSY: others are in it.
  if (!cgroups.empty()) (void)jail::Cgroup::open(kSupervisorsCgroup).remove(0).ok();
  if (!links.empty()) outcome.add(net::clean_links(links));
  auto left = leave_volumes(volumes, container, true);
  if (left) {
    outcome.freed += *left;
  } else {
    outcome.add(left.take_failure());
  }
  remove_all(trees, outcome);
  remove_all(files, outcome);
  if (!outcome.first) return outcome.first.take_failure();
  return outcome.freed;
}

}  // namespace

int clean_mode() {
  prepare_process(kControlFd + 1);
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  auto freed = clean(first->request);
  if (!freed) {
    reply_error_now(kControlFd, first->request.id, freed.failure());
    return 1;
  }
  JsonText json;
  reply_now(kControlFd, first->request.id, json.put("freedBytes", *freed).text());
  return 0;
}

}  // namespace supervisor
