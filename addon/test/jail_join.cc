// More processes in a container that runs. Needs root.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "jail/seccomp/compile.h"
#include "sys/kernel.h"
#include "sys/small_file.h"
#include "test/jail_support.h"

using jail_test::default_spec;
using jail_test::Outcome;
using jail_test::Running;
using jail_test::Sandbox;

namespace {

jail::Process process_of(std::vector<std::string> args) {
  jail::Process process;
  process.args = std::move(args);
  process.env = {"PATH=/bin"};
  const uint64_t capabilities = jail::seccomp::kDockerCapabilities;
  process.capabilities = {capabilities, capabilities, capabilities};
  return process;
}

class Container {
 public:
  Container() : spec_(default_spec(sandbox_, {"sleep", "1000"})) {
    spec_.cgroups_path = "/dinghy-test/join";
    running_ = jail_test::start(spec_);
  }
  ~Container() { jail_test::stop(running_); }
  Outcome exec(const jail::Process& process) { return jail_test::exec(running_, process, "exec-1"); }
  Outcome exec(std::vector<std::string> args) { return exec(process_of(std::move(args))); }
  Running& running() { return running_; }

 private:
  Sandbox sandbox_;
  jail::Spec spec_;
  Running running_;
};

}  // namespace

TEST_CASE("a joined process is in every namespace, confined like init") {
  Container container;
  const Outcome outcome =
      container.exec({"sh", "-c",
                      "hostname; for n in pid mnt net ipc uts cgroup; do [ $(readlink /proc/1/ns/$n) = $(readlink "
                      "/proc/self/ns/$n) ] || echo $n; done; "
                      "ls -1 /proc/self/fd; grep -E 'CapEff|CapInh|Seccomp:' /proc/self/status; exit 3"});
  CHECK(outcome.error.step == "");
  CHECK(outcome.error.message == "");
  // PID 1 has no CAP_SYS_PTRACE over it, but its namespaces are readable to the same root.
  CHECK(outcome.out == "harbour\n0\n1\n2\n3\nCapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n");
  CHECK(outcome.code == 3);
}

TEST_CASE("user, groups, home and working directory of an exec") {
  Container container;
  jail::Process process = process_of({"sh", "-c", "id -u; id -G; echo $HOME; pwd"});
  process.user = "app:extra";
  process.default_home = true;
  process.cwd = "/tmp";
  CHECK(container.exec(process).out == "1000\n2000\n/home/app\n/tmp\n");
  process.cwd = "/nowhere";
  const Outcome outcome = container.exec(process);
  CHECK(outcome.error.step == "chdir");
  CHECK(outcome.error.exit_code == 127);
}

TEST_CASE("an exec that cannot run says why") {
  Container container;
  Outcome outcome = container.exec({"nope"});
  CHECK(outcome.error.exit_code == 127);
  CHECK(outcome.code == 127);
  outcome = container.exec({"/etc/passwd"});
  CHECK(outcome.error.exit_code == 126);
}

TEST_CASE("an exec under a tty has one of its own") {
  Container container;
  jail::Process process = process_of({"sh", "-c", "stty size; tty"});
  process.terminal = true;
  process.columns = 80;
  process.rows = 24;
  const Outcome outcome = container.exec(process);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out == "24 80\r\n/dev/pts/0\r\n");
}

TEST_CASE("a tree of an exec is killed as a whole, and only that") {
  Container container;
  REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  auto cgroup = jail::Cgroup::create_exec(container.running().cgroup.folder_fds(), "exec-tree");
  REQUIRE(cgroup.ok());
  jail::Target target;
  target.pidfd.reset(fcntl(container.running().init.pidfd.get(), F_DUPFD_CLOEXEC, 3));
  auto init = jail::join(target, process_of({"sh", "-c", "(sleep 900 &) ; sleep 901 & wait"}), {}, *cgroup);
  REQUIRE(init.ok());
  CHECK(jail::wait(*init, jail::Point::kRootfs).ok());
  CHECK(jail::release(*init, jail::Point::kRootfs).ok());
  CHECK(jail::wait(*init, jail::Point::kExec).ok());
  usleep(200000);
  CHECK(cgroup->populated());
  CHECK(cgroup->kill().ok());
  CHECK(jail_test::wait_exit(init->pid) == 137);
  CHECK(cgroup->remove().ok());
  CHECK(container.running().cgroup.populated());
  CHECK(container.exec({"true"}).code == 0);
}

TEST_CASE("nothing of a joining process can be read from inside before it runs") {
  Container container;
  auto cgroup = jail::Cgroup::create_exec(container.running().cgroup.folder_fds(), "exec-peek");
  REQUIRE(cgroup.ok());
  jail::Target target;
  target.pidfd.reset(fcntl(container.running().init.pidfd.get(), F_DUPFD_CLOEXEC, 3));
  auto waiting = jail::join(target, process_of({"true"}), {}, *cgroup);
  REQUIRE(waiting.ok());
  REQUIRE(jail::wait(*waiting, jail::Point::kRootfs).ok());
  const Outcome outcome = container.exec({"sh", "-c",
                                          "for p in /proc/[0-9]*; do [ $p = /proc/1 ] || [ $p = /proc/$$ ] || ls $p/fd "
                                          "$p/root 2>&1 | grep -vc denied; done; true"});
  CHECK(outcome.out.find("1\n") == std::string::npos);
  CHECK(jail::release(*waiting, jail::Point::kRootfs).ok());
  CHECK(jail::wait(*waiting, jail::Point::kExec).ok());
  CHECK(jail_test::wait_exit(waiting->pid) == 0);
  CHECK(cgroup->remove().ok());
}

TEST_CASE("joining a container that has ended is an error") {
  const Sandbox sandbox;
  Running running = jail_test::start(default_spec(sandbox, {"true"}));
  CHECK(jail_test::wait_exit(running.init.pid) == 0);
  const Outcome outcome = jail_test::exec(running, process_of({"true"}), "exec-late");
  CHECK(outcome.error.step == "setns");
  CHECK(outcome.error.err == ESRCH);
}
