// Whole containers, started the way the supervisor starts them. Needs root.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "jail/command.h"
#include "test/jail_support.h"

using jail_test::default_spec;
using jail_test::Outcome;
using jail_test::run;
using jail_test::Sandbox;

namespace {

Outcome shell(const Sandbox& sandbox, const std::string& script) {
  return run(default_spec(sandbox, {"sh", "-c", script}));
}

template <class Work>
double median_ms(Work work) {
  std::vector<double> samples;
  for (int i = 0; i < 25; i++) {
    timespec before{};
    timespec after{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    work();
    clock_gettime(CLOCK_MONOTONIC, &after);
    samples.push_back(static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 +
                      static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6);
  }
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a command runs and its output and exit code come back") {
  const Sandbox sandbox;
  const Outcome outcome = shell(sandbox, "echo $$; hostname; pwd; exit 7");
  CHECK(outcome.error.step == "");
  CHECK(outcome.error.message == "");
  CHECK(outcome.out == "1\nharbour\n/\n");
  CHECK(outcome.code == 7);
}

TEST_CASE("the container sees its own mounts and nothing of the host's") {
  const Sandbox sandbox;
  const Outcome outcome = shell(sandbox, "cat /proc/self/mountinfo");
  REQUIRE(outcome.error.step == "");
  CHECK(contains(outcome.out, " / / rw,relatime - overlay "));
  CHECK(contains(outcome.out, " /proc rw,nosuid,nodev,noexec,relatime - proc "));
  CHECK(contains(outcome.out, " /dev rw,nosuid - tmpfs "));
  CHECK(contains(outcome.out, " /dev/pts rw,nosuid,noexec,relatime - devpts "));
  CHECK(contains(outcome.out, " /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs "));
  CHECK(contains(outcome.out, " /dev/mqueue "));
  CHECK(contains(outcome.out, " /sys ro,nosuid,nodev,noexec,relatime - sysfs "));
  CHECK(contains(outcome.out, " /proc/sys ro,"));
  CHECK(contains(outcome.out, " /proc/keys "));
  CHECK(!contains(outcome.out, "shared:"));
  CHECK(!contains(outcome.out, "master:"));
  CHECK(!contains(outcome.out, sandbox.path("")));
  // Every mount is reachable: the host's tree is really gone.
  const Outcome old = shell(sandbox, "ls /proc/1/root/; ls -d /work /usr 2>&1 | grep -v 'No such'; true");
  CHECK(!contains(old.out, "work"));
}

TEST_CASE("privileges are Docker's, cut to what this host has") {
  const Sandbox sandbox;
  const Outcome outcome = shell(sandbox, "grep -E 'Cap|NoNewPrivs|Seccomp:|Groups|Umask' /proc/self/status");
  REQUIRE(outcome.error.step == "");
  CHECK(contains(outcome.out, "CapInh:\t0000000000000000"));
  CHECK(contains(outcome.out, "CapPrm:\t00000000a80425fb"));
  CHECK(contains(outcome.out, "CapEff:\t00000000a80425fb"));
  CHECK(contains(outcome.out, "CapBnd:\t00000000a80425fb"));
  CHECK(contains(outcome.out, "CapAmb:\t0000000000000000"));
  CHECK(contains(outcome.out, "NoNewPrivs:\t0"));
  CHECK(contains(outcome.out, "Seccomp:\t2"));
  CHECK(contains(outcome.out, "Umask:\t0022"));
}

TEST_CASE("a user is looked up in the image, with groups and home, and keeps no capability") {
  const Sandbox sandbox;
  jail::Spec spec =
      default_spec(sandbox, {"sh", "-c", "id -u; id -g; id -G; echo $HOME; grep -E 'CapPrm|CapEff' /proc/self/status"});
  spec.process.user = "app";
  spec.process.default_home = true;
  spec.process.group_add = {"3000"};
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out ==
        "1000\n1000\n1000 2000 2001 3000\n/home/app\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n");
}

TEST_CASE("no descriptor but 0, 1 and 2 reaches the program") {
  const Sandbox sandbox;
  std::vector<sys::Fd> leaks;
  for (int i = 0; i < 20; i++) leaks.emplace_back(open("/", O_RDONLY));  // without O_CLOEXEC
  const Outcome outcome = shell(sandbox, "ls -1 /proc/self/fd");
  CHECK(outcome.out == "0\n1\n2\n3\n");  // 3: ls reading the folder
  for (int fd = 3; fd < 30; fd++) {
    jail::Spec spec = default_spec(sandbox, {"pwd"});
    spec.process.cwd = "/proc/self/fd/" + std::to_string(fd);
    const Outcome outside = run(spec);
    const bool inside = outside.error.step.empty() && outside.out.rfind("/", 0) == 0;
    CHECK((inside || outside.error.step == "chdir"));
    CHECK(outside.out.find("etc") == std::string::npos);
  }
}

TEST_CASE("masked and read-only paths are so") {
  const Sandbox sandbox;
  const Outcome outcome =
      shell(sandbox,
            "for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do "
            "  [ -e $f ] && { head -c 1 $f | wc -c; stat -c '%t:%T' $f; }; done; "
            "ls -A /sys/firmware | wc -l; touch /sys/firmware/x 2>&1; "
            "(echo 1 > /proc/sys/kernel/panic) 2>&1; (echo 1 > /proc/irq/default_smp_affinity) 2>&1");
  REQUIRE(outcome.error.step == "");
  CHECK(contains(outcome.out, "0\n1:3\n"));
  CHECK(contains(outcome.out, "/sys/firmware/x: Read-only file system"));
  CHECK(contains(outcome.out, "can't create /proc/sys/kernel/panic: Read-only file system"));
  CHECK(contains(outcome.out, "can't create /proc/irq/default_smp_affinity: Read-only file system"));
}

TEST_CASE("commands that cannot run say why, with Docker's exit codes") {
  const Sandbox sandbox;
  sandbox.write_lower("bin/plain", "not a program", 0644);
  sandbox.write_lower("bin/garbage",
                      "\x7f"
                      "ELFnothing",
                      0755);
  sandbox.write_lower("bin/orphan", "#!/no/such/interpreter\n", 0755);
  struct Case {
    const char* command;
    int exit_code;
    int err;
  };
  for (const Case& one :
       {Case{"nothing-here", 127, ENOENT}, Case{"/no/such/file", 127, ENOENT}, Case{"plain", 126, EACCES},
        Case{"/etc", 126, EISDIR}, Case{"/bin/plain", 126, EACCES}, Case{"/bin/garbage", 126, ENOEXEC},
        Case{"/bin/orphan", 127, ENOENT}, Case{"/etc/passwd/x", 127, ENOTDIR}, Case{"", 127, ENOENT}}) {
    CAPTURE(one.command);
    const Outcome outcome = run(default_spec(sandbox, {one.command}));
    CHECK(outcome.error.step == "execve");
    CHECK(outcome.error.exit_code == one.exit_code);
    CHECK(outcome.error.err == one.err);
    CHECK(outcome.code == one.exit_code);
  }
}

TEST_CASE("a missing working directory is made, and one that is a file is an error") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"sh", "-c", "pwd; stat -c %u:%a ."});
  spec.process.cwd = "/srv/app/deep";
  CHECK(run(spec).out == "/srv/app/deep\n0:755\n");
  spec.process.cwd = "/etc/passwd";
  const Outcome outcome = run(spec);
  CHECK(outcome.error.step == "chdir");
  CHECK(outcome.error.exit_code == 127);
}

TEST_CASE("a read-only root can still be mounted upon") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"sh", "-c", "touch /x 2>&1; touch /data/new/y && echo ok"});
  spec.rootfs.read_only = true;
  spec.mounts.push_back({"/data/new", "bind", sandbox.path("volume"), {"rbind", "rw"}});
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out == "touch: /x: Read-only file system\nok\n");
}

TEST_CASE("a single layer is used as it is and never modified") {
  const Sandbox sandbox;
  for (const char* folder : {"proc", "dev", "sys"})
    REQUIRE(mkdir(sandbox.path(std::string("lower/") + folder).c_str(), 0755) == 0);
  jail::Spec spec = default_spec(sandbox, {"sh", "-c", "touch /x 2>&1"});
  spec.rootfs.upper.clear();
  spec.rootfs.work.clear();
  CHECK(run(spec).out == "touch: /x: Read-only file system\n");
  spec.mounts.push_back({"/missing", "tmpfs", "tmpfs", {}});
  const Outcome outcome = run(spec);
  CHECK(outcome.error.step == "mount /missing");
  CHECK(outcome.error.err == EROFS);
}

TEST_CASE("many layers, the topmost first") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"cat", "/which"});
  std::vector<std::string> lower;
  for (int i = 0; i < 120; i++) {
    const std::string layer = sandbox.path("layer" + std::to_string(i));
    REQUIRE(mkdir(layer.c_str(), 0755) == 0);
    std::ofstream(layer + "/which") << i;
    lower.push_back(layer);
  }
  lower.push_back(spec.rootfs.lower[0]);
  spec.rootfs.lower = lower;
  spec.rootfs.path = sandbox.path("merged");  // where kernels before 6.8 need to mount it
  REQUIRE(mkdir(spec.rootfs.path.c_str(), 0755) == 0);
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.error.err == 0);
  CHECK(outcome.out == "0");
}

TEST_CASE("a volatile root can be started again") {
  const Sandbox sandbox;
  CHECK(shell(sandbox, "echo kept > /note").code == 0);
  CHECK(shell(sandbox, "cat /note").out == "kept\n");
}

TEST_CASE("a tty is the container's own, of the right size, and is its console") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"sh", "-c",
                                           "stty size; tty; [ -c /dev/console ] && stat -c %t /dev/console; "
                                           "echo hi > /dev/tty; stat -c %u $(tty)"});
  spec.process.terminal = true;
  spec.process.columns = 132;
  spec.process.rows = 43;
  spec.process.user = "app";
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out == "43 132\r\n/dev/pts/0\r\n88\r\nhi\r\n1000\r\n");
}

TEST_CASE("an init in front of the program reaps, forwards and passes the exit code on") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"sh", "-c", "echo $$; (true & exec sleep 0) & wait; exit 5"});
  spec.init = true;
  Outcome outcome = run(spec);
  CHECK(outcome.out == "2\n");
  CHECK(outcome.code == 5);
  spec.process.args = {"sh", "-c", "kill -KILL $$"};
  CHECK(run(spec).code == 137);
  // Orphans are reaped: no zombie is left.
  spec.process.args = {"sh", "-c",
                       "for i in 1 2 3 4 5; do sh -c 'true & true &' ; done; sleep 0.2; ps -o stat= | grep -c Z"};
  CHECK(run(spec).out == "0\n");
  spec.process.args = {"nope"};
  outcome = run(spec);
  CHECK(outcome.error.exit_code == 127);
  CHECK(outcome.code == 127);

  spec.process.args = {"sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.01; done"};
  jail_test::Running running = jail_test::start(spec);
  usleep(100000);
  CHECK(kill(running.init.pid, SIGTERM) == 0);
  CHECK(jail_test::wait_exit(running.init.pid) == 9);
}

TEST_CASE("sysctls of the container's own namespaces only") {
  const Sandbox sandbox;
  jail::Spec spec =
      default_spec(sandbox, {"cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/msgmax"});
  spec.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "0"}, {"kernel.msgmax", "4242"}};
  CHECK(run(spec).out == "0\n4242\n");
  for (const char* name : {"kernel.core_pattern", "vm.swappiness", "net/../kernel/core_pattern", "kernel", "net..x"}) {
    spec.sysctls = {{name, "x"}};
    const Outcome outcome = run(spec);
    CHECK(outcome.error.step == std::string("sysctl ") + name);
    CHECK(outcome.error.err == EPERM);
  }
}

TEST_CASE("resource limits and the open-files limit are set") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"sh", "-c", "ulimit -Sn; ulimit -Sc; ulimit -Hc"});
  spec.process.rlimits = {{RLIMIT_CORE, "RLIMIT_CORE", 0, 0}};
  CHECK(run(spec).out == "1024\n0\n0\n");
  spec.process.rlimits = {{RLIMIT_NOFILE, "RLIMIT_NOFILE", 64, 128}};
  CHECK(run(spec).out.rfind("64\n", 0) == 0);
}

TEST_CASE("out-of-memory preference is set without the container's own procfs") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"cat", "/proc/self/oom_score_adj"});
  spec.process.oom_score_adj = 321;
  CHECK(run(spec).out == "321\n");
}

TEST_CASE("no_new_privs with the filter loaded last") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"grep", "-E", "NoNewPrivs|Seccomp:", "/proc/self/status"});
  spec.process.no_new_privileges = true;
  CHECK(run(spec).out == "NoNewPrivs:\t1\nSeccomp:\t2\n");
  spec.process.seccomp_filter = "unconfined";
  CHECK(run(spec).out == "NoNewPrivs:\t1\nSeccomp:\t0\n");
}

TEST_CASE("a start costs little more than a process") {
  const Sandbox sandbox;
  const jail::Spec spec = default_spec(sandbox, {"/bin/true"});
  const std::string program = sandbox.path("lower/bin/true");
  const double plain = median_ms([&] {
    const pid_t pid = fork();
    if (pid == 0) {
      execl(program.c_str(), "true", nullptr);
      _exit(1);
    }
    CHECK(jail_test::wait_exit(pid) == 0);
  });
  const double contained = median_ms([&] { CHECK(run(spec).code == 0); });
  MESSAGE("fork, exec and wait: " << plain << " ms; the same in a container: " << contained << " ms");
  // Other work on the machine slows both alike.
  CHECK(contained < 15 + 8 * plain);
}
