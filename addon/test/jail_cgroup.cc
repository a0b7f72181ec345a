// Cgroups as this host has them: unified, hybrid or v1. Needs root.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail/cgroup.h"
#include "jail/cgroup_limits.h"
#include "jail/device_filter.h"
#include "sys/small_file.h"
#include "test/jail_support.h"

using jail::Cgroup;
using jail::Resources;
using jail_test::default_spec;
using jail_test::Outcome;
using jail_test::run;
using jail_test::Sandbox;

namespace {

std::string value_of(const std::vector<jail::Knob>& knobs, const std::string& file) {
  for (const jail::Knob& knob : knobs) {
    if (knob.file == file) return knob.value;
  }
  return "-";
}

bool host_has(const char* controller) {
  auto host = jail::CgroupHost::detect();
  const jail::Hierarchy* found = host->find(controller);
  return found != nullptr && found->writable;
}

}  // namespace

TEST_CASE("limits become the files of both versions") {
  Resources resources;
  resources.memory_limit = 64 << 20;
  resources.memory_swap = 96 << 20;
  resources.cpu_quota = 50000;
  resources.cpu_shares = 1024;
  resources.pids_limit = 0;
  resources.io_weight = 500;
  resources.read_bps = {{8, 0, 1000}};
  const auto v2 = jail::v2_knobs(resources);
  CHECK(value_of(v2, "memory.max") == "67108864");
  CHECK(value_of(v2, "memory.swap.max") == "33554432");
  CHECK(value_of(v2, "cpu.max") == "50000 100000");
  CHECK(value_of(v2, "cpu.weight") == "39");
  CHECK(value_of(v2, "pids.max") == "max");
  CHECK(value_of(v2, "io.weight") == "4950");
  CHECK(value_of(v2, "io.max") == "8:0 rbps=1000");
  const auto v1 = jail::v1_knobs(resources);
  CHECK(value_of(v1, "memory.limit_in_bytes") == "67108864");
  CHECK(value_of(v1, "memory.memsw.limit_in_bytes") == "100663296");
  CHECK(value_of(v1, "blkio.throttle.read_bps_device") == "8:0 1000");
  CHECK(jail::weight_of_shares(2) == 1);
  CHECK(jail::weight_of_shares(262144) == 10000);
  CHECK(jail::weight_of_shares(0) == 1);
}

TEST_CASE("a container's limits are in force and its cgroup goes with it") {
  if (!host_has("pids") || !host_has("memory")) {
    MESSAGE("skipped: no writable pids and memory controllers");
    return;
  }
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo never"});
  spec.cgroups_path = "/dinghy-test/limits";
  spec.resources.pids_limit = 5;
  spec.resources.memory_limit = 64 << 20;
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out.find("can't fork") != std::string::npos);
  CHECK(outcome.out.find("never") == std::string::npos);
  CHECK(Cgroup::open("/dinghy-test/limits").empty());
  CHECK(Cgroup::open("/dinghy-test").empty());
}

TEST_CASE("the container sees its own cgroup, read-only, as the root") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(
      sandbox,
      {"sh", "-c",
       "grep -c dinghy-test /proc/self/cgroup; find /sys/fs/cgroup -name cgroup.procs | wc -l; "
       "mkdir /sys/fs/cgroup/x 2>&1; f=$(find /sys/fs/cgroup -name cgroup.procs | head -n 1); (echo 1 > $f) 2>&1"});
  spec.cgroups_path = "/dinghy-test/view";
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out.rfind("0\n", 0) == 0);
  CHECK(outcome.out.find("\n0\n") == std::string::npos);
  CHECK(outcome.out.find("mkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system") !=
        std::string::npos);
  CHECK(outcome.out.find("cgroup.procs: Read-only file system") != std::string::npos);
}

TEST_CASE("a kill for want of memory is counted and wakes the watcher") {
  if (!host_has("memory")) {
    MESSAGE("skipped: no writable memory controller");
    return;
  }
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1"});
  spec.cgroups_path = "/dinghy-test/oom";
  spec.resources.memory_limit = 24 << 20;
  spec.resources.memory_swap = 24 << 20;
  auto cgroup = Cgroup::create(spec.cgroups_path, spec.resources, false);
  REQUIRE(cgroup.ok());
  CHECK(cgroup->oom_kills() == 0);
  auto init = jail::create(spec, {}, *cgroup);
  REQUIRE(init.ok());
  CHECK(jail::wait(*init, jail::Point::kNamespaces).ok());
  CHECK(jail::release(*init, jail::Point::kNamespaces).ok());
  CHECK(jail::wait(*init, jail::Point::kRootfs).ok());
  CHECK(jail::release(*init, jail::Point::kRootfs).ok());
  CHECK(jail_test::wait_exit(init->pid) == 137);
  CHECK(cgroup->oom_kills() >= 1);
  if (cgroup->oom_fd() >= 0) {
    pollfd watched{cgroup->oom_fd(), POLLIN, 0};
    CHECK(poll(&watched, 1, 1000) == 1);
    cgroup->drain_oom();
    CHECK(poll(&watched, 1, 0) == 0);
  }
  CHECK(cgroup->remove().ok());
}

TEST_CASE("freezing stands everything still and killing ends it, frozen too") {
  const Sandbox sandbox;
  jail::Spec spec =
      default_spec(sandbox, {"sh", "-c", "sh -c 'while :; do :; done' & while :; do echo x > /tick; done"});
  spec.cgroups_path = "/dinghy-test/freeze";
  jail_test::Running running = jail_test::start(spec);
  CHECK(running.cgroup.populated());
  CHECK(running.cgroup.freeze().ok());
  CHECK(running.cgroup.kill().ok());
  CHECK(jail_test::wait_exit(running.init.pid) == 137);
  CHECK(running.cgroup.remove().ok());
  CHECK(Cgroup::open("/dinghy-test/freeze").empty());
}

TEST_CASE("cgroups that a container nested are removed with it") {
  auto cgroup = Cgroup::create("/dinghy-test/nested", {}, false);
  REQUIRE(cgroup.ok());
  for (const std::string& path : cgroup->paths()) {
    REQUIRE(mkdir((path + "/a").c_str(), 0755) == 0);
    REQUIRE(mkdir((path + "/a/b").c_str(), 0755) == 0);
  }
  CHECK(cgroup->remove().ok());
  CHECK(Cgroup::open("/dinghy-test").empty());
}

TEST_CASE("a limit that no hierarchy can keep names its controller, and leaves nothing") {
  Resources resources;
  resources.unified = {{"nosuch.max", "1"}};
  const auto cgroup = Cgroup::create("/dinghy-test/missing", resources, false);
  REQUIRE(!cgroup.ok());
  CHECK(cgroup.failure().step == "cgroup controller nosuch");
  CHECK(cgroup.failure().message.find("'nosuch'") != std::string::npos);
  CHECK(Cgroup::open("/dinghy-test").empty());

  if (!host_has("memory")) return;
  Resources refused;
  refused.cpuset_cpus = "9999";
  CHECK(!Cgroup::create("/dinghy-test/refused", refused, false).ok());
  CHECK(Cgroup::open("/dinghy-test").empty());
}

TEST_CASE("paths that climb are refused") {
  for (const char* path : {"", "/", "dinghy", "/a/../../b", "/./.."}) CHECK(!Cgroup::create(path, {}, false).ok());
}

TEST_CASE("limits of a running container change both ways") {
  if (!host_has("memory")) return;
  Resources resources;
  resources.memory_limit = 64 << 20;
  resources.memory_swap = 64 << 20;
  auto cgroup = Cgroup::create("/dinghy-test/update", resources, false);
  REQUIRE(cgroup.ok());
  for (const int64_t limit : {int64_t{256} << 20, int64_t{32} << 20}) {
    resources.memory_limit = limit;
    resources.memory_swap = limit;
    const auto updated = cgroup->update(resources);
    CHECK(updated.ok());
  }
  CHECK(cgroup->remove().ok());
}

TEST_CASE("device rules: the last that speaks of a device decides") {
  CHECK(jail::v1_device_rule({false, 'a', -1, -1, true, true, true}) == "a *:* rwm");
  CHECK(jail::v1_device_rule({true, 'c', 1, 3, true, true, false}) == "c 1:3 rw");
  CHECK(jail::v1_device_rule({true, 'b', 8, -1, false, false, true}) == "b 8:* m");

  // The kernel's verifier accepts the program, whatever the list.
  const auto host = jail::CgroupHost::detect();
  if (host->v2() == nullptr || !host->v2()->writable) return;
  const std::vector<std::vector<jail::DeviceRule>> lists = {{},
                                                            {{false, 'a', -1, -1, true, true, true}},
                                                            {{true, 'a', -1, -1, true, true, true}},
                                                            {{false, 'a', -1, -1, true, true, true},
                                                             {true, 'c', 1, 3, true, true, true},
                                                             {false, 'c', 1, 3, false, true, false}}};
  for (const auto& rules : lists) {
    auto cgroup = Cgroup::create("/dinghy-test/bpf", {}, false);
    REQUIRE(cgroup.ok());
    const auto attached = jail::attach_device_filter(cgroup->v2_fd(), rules);
    CHECK(attached.ok());
    if (!attached) MESSAGE(attached.failure().err);
    CHECK(cgroup->remove().ok());
  }
}

TEST_CASE("the v2 device program denies what the list does not allow") {
  const auto host = jail::CgroupHost::detect();
  if (host->v2() == nullptr || !host->v2()->writable) return;
  auto cgroup = Cgroup::create("/dinghy-test/bpfrun", {}, false);
  REQUIRE(cgroup.ok());
  REQUIRE(jail::attach_device_filter(cgroup->v2_fd(), {{false, 'a', -1, -1, true, true, true},
                                                       {true, 'c', 1, 3, true, true, false},
                                                       {true, 'c', 1, -1, true, false, false}})
              .ok());
  const pid_t pid = fork();
  if (pid == 0) {
    if (!cgroup->add(getpid())) _exit(100);
    int result = 0;
    if (open("/dev/null", O_RDWR) < 0) result |= 1;
    if (open("/dev/zero", O_RDONLY) < 0) result |= 2;
    if (open("/dev/zero", O_WRONLY) >= 0) result |= 4;  // only reading is allowed
    if (open("/dev/ptmx", O_RDWR) >= 0) result |= 8;
    _exit(result);
  }
  CHECK(jail_test::wait_exit(pid) == 0);
  CHECK(cgroup->remove().ok());
}
