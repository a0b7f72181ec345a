// What an image's author or a program in a container tries, and must not get. Needs root.
#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "jail/seccomp/compile.h"
#include "jail/seccomp/load.h"
#include "jail/target.h"
#include "sys/kernel.h"
#include "sys/small_file.h"
#include "test/jail_support.h"

using jail_test::default_spec;
using jail_test::Outcome;
using jail_test::run;
using jail_test::Sandbox;

namespace {

// A folder of the host that nothing may touch.
class Canary {
 public:
  explicit Canary(const Sandbox& sandbox) : folder_(sandbox.path("canary")) {
    mkdir(folder_.c_str(), 0755);
    std::ofstream(folder_ + "/marker") << "untouched";
    std::ofstream(folder_ + "/null") << "untouched";
  }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  void check() const {
    size_t entries = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      entries++;
      CHECK(*sys::read_file(entry.path(), 100) == "untouched");
    }
    CHECK(entries == 2);
  }

 private:
  std::string folder_;
};

void link_lower(const Sandbox& sandbox, const std::string& name, const std::string& target) {
  const std::string path = sandbox.path("lower/" + name);
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
  REQUIRE(symlink(target.c_str(), path.c_str()) == 0);
}

// The errno of `call` made in a child under the filter, 0 when it succeeded.
template <class Call>
int under_filter(const jail::seccomp::Program& program, Call call) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !jail::seccomp::load(program)) _exit(255);
    errno = 0;
    _exit(call() >= 0 ? 0 : errno);
  }
  return jail_test::wait_exit(pid);
}

}  // namespace

TEST_CASE("/proc, /sys and /dev of an image that are links are refused") {
  for (const char* name : {"proc", "sys", "dev"}) {
    const Sandbox sandbox;
    const Canary canary(sandbox);
    link_lower(sandbox, name, canary.folder());
    const Outcome outcome = run(default_spec(sandbox, {"true"}));
    CHECK(outcome.error.step == std::string("mount /") + name);
    CHECK(outcome.error.err == ELOOP);
    canary.check();
  }
}

TEST_CASE("volumes over procfs, sysfs, their insides and the root are refused") {
  const Sandbox sandbox;
  link_lower(sandbox, "sneaky", "/proc/self");
  link_lower(sandbox, "top", "/");
  for (const char* destination : {"/proc", "/proc/self", "/proc/sys", "/sys", "/sys/fs/cgroup", "/sys/kernel", "/",
                                  "/..", "/sneaky", "/top", "/proc/../proc/1"}) {
    CAPTURE(std::string(destination));
    jail::Spec spec = default_spec(sandbox, {"true"});
    spec.mounts.push_back({destination, "bind", sandbox.path("volume"), {"rbind", "rw"}});
    const Outcome outcome = run(spec);
    CHECK(outcome.error.step == std::string("mount ") + destination);
    CHECK(outcome.error.err != 0);
  }
  jail::Spec tmpfs = default_spec(sandbox, {"true"});
  tmpfs.mounts.push_back({"/proc", "tmpfs", "tmpfs", {}});
  CHECK(run(tmpfs).error.err == EPERM);
}

TEST_CASE("mount targets and generated files resolve within the root") {
  const Sandbox sandbox;
  const Canary canary(sandbox);
  link_lower(sandbox, "etc/resolv.conf", canary.folder() + "/marker");
  link_lower(sandbox, "etc/hosts", "../../../../../../.." + canary.folder() + "/marker");
  link_lower(sandbox, "escape", "/../../" + canary.folder());
  std::ofstream(sandbox.path("generated")) << "generated";
  jail::Spec spec = default_spec(sandbox, {"cat", "/etc/resolv.conf", "/etc/hosts", "/escape/deep/file"});
  spec.mounts.push_back({"/etc/resolv.conf", "bind", sandbox.path("generated"), {"bind", "ro"}});
  spec.mounts.push_back({"/etc/hosts", "bind", sandbox.path("generated"), {"bind", "ro"}});
  spec.mounts.push_back({"/escape/deep/file", "bind", sandbox.path("generated"), {"bind", "ro"}});
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out == "generatedgeneratedgenerated");
  canary.check();
}

TEST_CASE("passwd that is a link, a device, a fifo, a folder or huge gives an error at once") {
  const auto attempt = [](auto prepare) {
    const Sandbox sandbox;
    unlink(sandbox.path("lower/etc/passwd").c_str());
    prepare(sandbox);
    jail::Spec spec = default_spec(sandbox, {"true"});
    spec.process.user = "app";
    const Outcome outcome = run(spec);
    CHECK(outcome.error.step == "find user");
    CHECK(outcome.error.message.find("secret") == std::string::npos);
  };
  attempt([](const Sandbox& sandbox) { link_lower(sandbox, "etc/passwd", "/dev/zero"); });
  attempt([](const Sandbox& sandbox) { link_lower(sandbox, "etc/passwd", "/proc/1/environ"); });
  attempt([](const Sandbox& sandbox) { mkfifo(sandbox.path("lower/etc/passwd").c_str(), 0644); });
  attempt([](const Sandbox& sandbox) { mkdir(sandbox.path("lower/etc/passwd").c_str(), 0755); });
  attempt([](const Sandbox& sandbox) {
    sandbox.write_lower("etc/passwd", "app:x:1:1::/:\n");
    REQUIRE(truncate(sandbox.path("lower/etc/passwd").c_str(), off_t{1} << 31) == 0);
  });
}

TEST_CASE("devices outside of the list cannot be opened even by who made the node") {
  const Sandbox sandbox;
  jail::Spec spec =
      default_spec(sandbox, {"sh", "-c",
                             "mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg 2>&1; head -c 4 /dev/zero | wc -c; "
                             "echo x > /dev/null && echo ok; cat /dev/full | head -c 1 | wc -c"});
  spec.cgroups_path = "/dinghy-test/devices";
  spec.resources.devices = {{false, 'a', -1, -1, true, true, true},  {true, 'c', -1, -1, false, false, true},
                            {true, 'b', -1, -1, false, false, true}, {true, 'c', 1, 3, true, true, true},
                            {true, 'c', 1, 5, true, true, true},     {true, 'c', 1, 7, true, true, true},
                            {true, 'c', 5, 0, true, true, true},     {true, 'c', 5, 2, true, true, true},
                            {true, 'c', 136, -1, true, true, true}};
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out == "head: /tmp/kmsg: Operation not permitted\n4\nok\n1\n");
}

TEST_CASE("a container cannot mount, unshare or see the host's cgroups") {
  const Sandbox sandbox;
  const Outcome outcome = run(default_spec(
      sandbox,
      {"sh", "-c",
       "mkdir /m; mount -t tmpfs none /m 2>&1; unshare -m true 2>&1; unshare -U true 2>&1; umount /proc 2>&1; true"}));
  REQUIRE(outcome.error.step == "");
  CHECK(
      outcome.out ==
      "mount: permission denied (are you root?)\nunshare: unshare(0x20000): Operation not permitted\n"
      "unshare: unshare(0x10000000): Operation not permitted\numount: can't unmount /proc: Operation not permitted\n");
}

TEST_CASE("the default filter refuses what Docker's refuses") {
  const jail::seccomp::Program program = *jail::seccomp::prepare("");
  const auto call = [&](long number, long a = 0, long b = 0, long c = 0) {
    return under_filter(program, [=] { return syscall(number, a, b, c); });
  };
  CHECK(call(SYS_getpid) == 0);
  CHECK(call(SYS_socket, AF_INET, SOCK_STREAM) == 0);
  CHECK(call(SYS_socket, AF_UNIX, SOCK_STREAM) == 0);
  CHECK(call(SYS_socket, 38, SOCK_SEQPACKET) == EPERM);
  CHECK(call(SYS_socket, 40, SOCK_STREAM) == EPERM);
  CHECK(call(SYS_io_uring_setup, 1) == EPERM);
  CHECK(call(SYS_keyctl) == EPERM);
  CHECK(call(SYS_add_key) == EPERM);
  CHECK(call(SYS_userfaultfd) == EPERM);
  CHECK(call(SYS_bpf) == EPERM);
  CHECK(call(SYS_perf_event_open) == EPERM);
  CHECK(call(SYS_unshare, CLONE_NEWUSER) == EPERM);
  CHECK(call(SYS_clone, CLONE_NEWUSER | SIGCHLD) == EPERM);
  CHECK(call(SYS_clone3) == ENOSYS);
  CHECK(call(SYS_personality, 0x0400000) == EPERM);
  CHECK(call(SYS_personality, 0xffffffff) == 0);
  CHECK(call(SYS_mount) == EPERM);
  CHECK(call(SYS_open_by_handle_at) == EPERM);
  CHECK(call(SYS_chroot) == EFAULT);  // allowed: one of the 14 is SYS_CHROOT
  // By number, for calls newer than the library: 462 is mseal, 466 removexattrat.
  CHECK(call(462, 1) == EINVAL);
  CHECK(call(466, -1) != EPERM);
  CHECK(call(999) == EPERM);
}

TEST_CASE("the filter follows the capabilities") {
  auto bytes = jail::seccomp::compile(jail::seccomp::kDockerCapabilities | uint64_t{1} << 21U);
  REQUIRE(bytes.ok());
  CHECK(bytes->size() % sizeof(sock_filter) == 0);
  const Sandbox sandbox;
  std::ofstream(sandbox.path("filter")) << *bytes;
  auto program = jail::seccomp::prepare(sandbox.path("filter"));
  REQUIRE(program.ok());
  CHECK(under_filter(*program, [] { return syscall(SYS_mount, 0, 0, 0, 0, 0); }) == EFAULT);
  CHECK(under_filter(*program, [] { return syscall(SYS_clone3, 0, 0); }) == EINVAL);
  CHECK(under_filter(*program, [] { return syscall(SYS_keyctl, 0); }) == EPERM);

  std::ofstream(sandbox.path("filter")) << "odd";
  CHECK(!jail::seccomp::prepare(sandbox.path("filter")).ok());
  CHECK(jail::seccomp::prepare(sandbox.path("missing")).failure().err == ENOENT);
}

TEST_CASE("a component that is swapped for a link while targets are made never leads out") {
  const Sandbox sandbox;
  const Canary canary(sandbox);
  const std::string volume = sandbox.path("volume");
  REQUIRE(mkdir((volume + "/d").c_str(), 0755) == 0);
  REQUIRE(symlink(canary.folder().c_str(), (volume + "/l").c_str()) == 0);
  const pid_t attacker = fork();
  if (attacker == 0) {
    const std::string d = volume + "/d";
    const std::string l = volume + "/l";
    for (;;) (void)renameat2(AT_FDCWD, d.c_str(), AT_FDCWD, l.c_str(), RENAME_EXCHANGE);
  }
  const sys::Fd root(open(volume.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 500; i++) {
    auto target = jail::make_target(root.get(), "d/x" + std::to_string(i) + "/y", jail::TargetKind::kFolder);
    if (target) continue;
    CHECK((target.failure().step == "mount target"));
  }
  kill(attacker, SIGKILL);
  (void)jail_test::wait_exit(attacker);
  canary.check();
}
