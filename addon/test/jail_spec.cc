// config.json as jail reads it: pure, no privileges needed.
#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>

#include "jail/spec.h"

namespace {

constexpr char kConfig[] = R"({
  "ociVersion": "1.2.0", "hostname": "h", "unknown": {"x": [1, {}]},
  "process": {"args": ["a", "b"], "env": ["X=1"], "cwd": "/w", "terminal": true, "consoleSize": {"width": 80, "height": 24},
    "user": {"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 18}, "noNewPrivileges": true, "oomScoreAdj": -5,
    "capabilities": {"bounding": ["CAP_CHOWN", "cap_kill"], "effective": ["CAP_CHOWN"], "permitted": []},
    "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 18446744073709551615}, {"type": "RLIMIT_AS", "soft": 1, "hard": 18446744073709552000}]},
  "root": {"path": "/r", "readonly": true},
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["ro"]},
    {"destination": "/data", "source": "/s", "options": ["rbind"]}],
  "linux": {"namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}, {"type": "mount"}],
    "cgroupsPath": "/dinghy/x", "sysctl": {"net.a": "1"}, "maskedPaths": ["/m"], "readonlyPaths": ["/ro"],
    "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
    "resources": {"memory": {"limit": 1000000}, "cpu": {"quota": 5, "cpus": "0"}, "pids": {"limit": 9},
      "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}]}},
  "dinghy": {"version": 1, "rootfs": {"type": "overlay", "lower": ["/l1", "/l2"], "upper": "/u", "work": "/wk", "volatile": true},
    "user": "app", "groupAdd": ["adm"], "defaultHome": true, "copyUp": ["/data"], "subpaths": {"/data": "a/b"}, "init": true}
})";

std::string failure_of(const std::string& json) {
  auto spec = jail::parse_spec(json);
  return spec ? std::string() : spec.failure().message;
}

std::string minimal(const std::string& more) {
  return R"({"process": {"args": ["x"]}, "root": {"path": "/r"})" + (more.empty() ? "" : ", " + more) + "}";
}

}  // namespace

TEST_CASE("a whole specification") {
  auto spec = jail::parse_spec(kConfig);
  REQUIRE(spec.ok());
  CHECK(spec->process.args == std::vector<std::string>{"a", "b"});
  CHECK(spec->process.cwd == "/w");
  CHECK(spec->process.columns == 80);
  CHECK(spec->process.additional_gids == std::vector<gid_t>{7, 8});
  CHECK(*spec->process.umask == 022);
  CHECK(spec->process.capabilities.bounding == (1U << CAP_CHOWN | 1U << CAP_KILL));
  CHECK(spec->process.capabilities.effective == 1U << CAP_CHOWN);
  CHECK(spec->process.capabilities.permitted == 0);
  CHECK(spec->process.rlimits[0].hard == RLIM_INFINITY);
  CHECK(spec->process.rlimits[1].hard == RLIM_INFINITY);
  CHECK(*spec->process.user == "app");
  CHECK(spec->process.create_cwd);
  CHECK(spec->rootfs.read_only);
  CHECK(spec->rootfs.lower.size() == 2);
  CHECK(spec->rootfs.is_volatile);
  CHECK(spec->mounts[1].type == "bind");
  CHECK(spec->mounts[1].copy_up);
  CHECK(!spec->mounts[0].copy_up);
  CHECK(spec->mounts[1].subpath == "a/b");
  CHECK(spec->mounts[0].subpath.empty());
  CHECK(spec->find_namespace(CLONE_NEWNET)->path == "/proc/1/ns/net");
  CHECK(spec->find_namespace(CLONE_NEWUSER) == nullptr);
  CHECK(spec->devices[0].minor == 229);
  CHECK(*spec->resources.memory_limit == 1000000);
  CHECK(!spec->resources.memory_swap);
  CHECK(spec->resources.devices.size() == 2);
  CHECK(spec->resources.devices[0].type == 'a');
  CHECK(spec->resources.devices[1].mknod == false);
  CHECK(spec->init);
  CHECK(!spec->rootless);
}

TEST_CASE("what is wrong is named") {
  CHECK(failure_of(minimal("")).empty());
  CHECK(failure_of("{") != "");
  CHECK(failure_of("[]") == "must be an object");
  CHECK(failure_of("{}") == "process is missing");
  CHECK(failure_of(R"({"process": {"args": []}, "root": {"path": "/r"}})") == "process.args must not be empty");
  CHECK(failure_of(R"({"process": {"args": ["x"]}})") == "root.path must be absolute");
  CHECK(failure_of(R"({"process": {"args": ["x"], "cwd": "rel"}, "root": {"path": "/r"}})") ==
        "process.cwd must be absolute");
  CHECK(failure_of(minimal(R"("linux": {"namespaces": [{"type": "time2"}]})")) ==
        "linux.namespaces: unknown type 'time2'");
  CHECK(failure_of(minimal(R"("linux": {"namespaces": [{"type": "pid"}, {"type": "pid"}]})")) ==
        "linux.namespaces: 'pid' is listed twice");
  CHECK(failure_of(minimal(R"("mounts": [{"destination": "rel"}])")) == "mounts: destination 'rel' must be absolute");
  CHECK(failure_of(minimal(R"("hostname": 5)")) == "hostname must be a string");
  CHECK(failure_of(minimal(R"("hostname": "a\u0000b")")) == "hostname contains a NUL character");
  CHECK(failure_of(minimal(R"("linux": {"resources": {"unified": {"../x": "1"}}})")) ==
        "linux.resources.unified: bad file name");
  CHECK(failure_of(minimal(R"("linux": {"devices": [{"path": "/etc/x", "type": "c"}]})")) ==
        "linux.devices: path '/etc/x' must be under /dev");
  CHECK(failure_of(minimal(R"("dinghy": {"rootfs": {"type": "overlay", "lower": []}})")) ==
        "dinghy.rootfs.lower must not be empty");
  std::string deep(5000, '[');
  CHECK(failure_of(deep) == "nested too deeply");
  CHECK(failure_of("{\"a\": \"\xff\xfe\"}") != "");
}

TEST_CASE("a process on its own, as exec sends it") {
  auto process = jail::parse_process(R"({"args": ["ls"], "env": ["A=b"], "cwd": "/"})");
  REQUIRE(process.ok());
  CHECK(process->args[0] == "ls");
  CHECK(!process->create_cwd);
  CHECK(!jail::parse_process("null").ok());
  CHECK(!jail::parse_process(R"({"args": ["ls"], "user": {"uid": 4294967295}})").ok());
}

TEST_CASE("capability names") {
  CHECK(jail::capability_bit("CAP_SYS_ADMIN") == uint64_t{1} << CAP_SYS_ADMIN);
  CHECK(jail::capability_bit("sys_admin") == uint64_t{1} << CAP_SYS_ADMIN);
  CHECK(jail::capability_bit("CAP_CHECKPOINT_RESTORE") == uint64_t{1} << 40U);
  CHECK(jail::capability_bit("ALL") == 0);
  CHECK(jail::capability_bit("") == 0);
}
