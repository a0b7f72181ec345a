// The same as an ordinary user: in a user namespace that enter_user_namespace() made. Needs root only to become that
// user.
#include <doctest/doctest.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "sys/bytes.h"
#include "sys/kernel.h"
#include "sys/small_file.h"
#include "test/jail_support.h"

using jail_test::default_spec;
using jail_test::Outcome;
using jail_test::run;
using jail_test::Sandbox;

namespace {

constexpr uid_t kUser = 54321;

// What `work` returns, from a process that has become the ordinary user and then root of its own namespace.
template <class Work>
std::string as_user(const jail::IdRange* range, Work work) {
  int ends[2];
  if (pipe(ends) != 0) return "pipe";
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    std::string text = "drop privileges";
    if (setgroups(0, nullptr) == 0 && setresgid(kUser, kUser, kUser) == 0 && setresuid(kUser, kUser, kUser) == 0) {
      auto entered = jail::enter_user_namespace(kUser, kUser, range, range);
      text = entered ? work() : entered.failure().step + ": " + entered.failure().message;
    }
    (void)sys::write_all(ends[1], text);
    _exit(0);
  }
  close(ends[1]);
  const std::string text = jail_test::drain(ends[0]);
  close(ends[0]);
  (void)jail_test::wait_exit(pid);
  return text;
}

void give_away(const std::string& path) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    REQUIRE(lchown(entry.path().c_str(), kUser, kUser) == 0);
  }
  REQUIRE(chown(path.c_str(), kUser, kUser) == 0);
}

jail::Spec rootless_spec(const Sandbox& sandbox, std::vector<std::string> args) {
  jail::Spec spec = default_spec(sandbox, std::move(args));
  spec.rootless = true;
  spec.rootfs.userxattr = true;
  return spec;
}

bool namespaces_allowed() {
  auto limit = sys::read_file("/proc/sys/user/max_user_namespaces", 100);
  return limit && *limit != "0\n";
}

}  // namespace

TEST_CASE("an ordinary user runs a container with a single-id map") {
  if (!namespaces_allowed()) return;
  const Sandbox sandbox;
  give_away(sandbox.path(""));
  const std::string text = as_user(nullptr, [&] {
    auto groups = sys::read_file("/proc/self/setgroups", 100);
    const Outcome outcome = run(rootless_spec(
        sandbox,
        {"sh", "-c",
         "id -u; echo $$; hostname; cat /proc/self/uid_map; mkdir /d && rmdir /d && mkdir /d && echo made; "
         "echo x > /dev/null && head -c 2 /dev/zero | wc -c; cat /proc/self/oom_score_adj; ls /sys/firmware | wc -l"}));
    return *groups + outcome.error.step + outcome.error.message + outcome.out;
  });
  CHECK(text == "deny\n0\n1\nharbour\n         0      54321          1\nmade\n2\n0\n0\n");
}

TEST_CASE("another user of the image needs a range, and the error says so") {
  if (!namespaces_allowed()) return;
  const Sandbox sandbox;
  give_away(sandbox.path(""));
  const std::string text = as_user(nullptr, [&] {
    jail::Spec spec = rootless_spec(sandbox, {"true"});
    spec.process.user = "1000:1000";
    const Outcome outcome = run(spec);
    return outcome.error.step + ": " + outcome.error.message;
  });
  CHECK(text.find("/etc/subuid") != std::string::npos);
}

TEST_CASE("a terminal, an oom score and a user-owned cgroup view work without privileges") {
  if (!namespaces_allowed()) return;
  const Sandbox sandbox;
  give_away(sandbox.path(""));
  const std::string text = as_user(nullptr, [&] {
    jail::Spec spec = rootless_spec(sandbox, {"sh", "-c", "tty; cat /proc/self/oom_score_adj"});
    spec.process.terminal = true;
    spec.process.oom_score_adj = 500;
    spec.cgroups_path = "/dinghy-test/rootless";  // nothing asked of it, so doing without is no error
    const Outcome outcome = run(spec);
    return outcome.error.step + outcome.error.message + outcome.out;
  });
  CHECK(text == "/dev/pts/0\r\n500\r\n");
}

TEST_CASE("a limit that an ordinary user cannot have is an error") {
  if (!namespaces_allowed()) return;
  const Sandbox sandbox;
  give_away(sandbox.path(""));
  const std::string text = as_user(nullptr, [&] {
    jail::Spec spec = rootless_spec(sandbox, {"true"});
    spec.cgroups_path = "/dinghy-test/rootless";
    spec.resources.pids_limit = 10;
    const Outcome outcome = run(spec);
    return outcome.error.step + " " + std::to_string(outcome.error.err);
  });
  // Named after the limit, not after the folder that could not be made: that is what the user asked for.
  CHECK(text == "cgroup controller pids " + std::to_string(EOPNOTSUPP));
}

TEST_CASE("a user without a range gets the mapper's failure explained") {
  if (!namespaces_allowed()) return;
  const jail::IdRange range{4000000, 10};
  const std::string text = as_user(&range, [] { return std::string("entered"); });
  CHECK(text.find("user namespace: new") == 0);
  CHECK(text.find("/etc/sub") != std::string::npos);
}

TEST_CASE("an exec into a rootless container enters its user namespace first") {
  if (!namespaces_allowed()) return;
  const Sandbox sandbox;
  give_away(sandbox.path(""));
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    // The container is made in a namespace of its own by a child, as a supervisor would; the joiner stays an ordinary
    // user.
    std::string text = "failed";
    if (setgroups(0, nullptr) == 0 && setresgid(kUser, kUser, kUser) == 0 && setresuid(kUser, kUser, kUser) == 0 &&
        prctl(PR_SET_CHILD_SUBREAPER, 1) == 0) {
      int pids[2];
      (void)!pipe(pids);
      const pid_t supervisor = fork();
      if (supervisor == 0) {
        if (!jail::enter_user_namespace(kUser, kUser, nullptr, nullptr)) _exit(1);
        jail_test::Running running = jail_test::start(rootless_spec(sandbox, {"sleep", "100"}));
        (void)!write(pids[1], &running.init.pid, sizeof running.init.pid);
        pause();
      }
      pid_t init = 0;
      (void)!read(pids[0], &init, sizeof init);
      jail::Target target;
      target.pidfd.reset(sys::pidfd_open(init, 0));
      target.rootless = true;
      jail::Process process;
      process.args = {"sh", "-c", "id -u; hostname; cat /proc/self/uid_map"};
      process.env = {"PATH=/bin"};
      int out[2];
      (void)!pipe(out);
      auto joined = jail::join(target, process, {-1, out[1], out[1]}, {});
      close(out[1]);
      if (joined) {
        auto ready = jail::wait(*joined, jail::Point::kRootfs);
        if (ready) ready = jail::release(*joined, jail::Point::kRootfs);
        if (ready) ready = jail::wait(*joined, jail::Point::kExec);
        text = ready ? jail_test::drain(out[0]) : ready.failure().step + ready.failure().message;
        (void)jail_test::wait_exit(joined->pid);
      } else {
        text = joined.failure().step + std::to_string(joined.failure().err);
      }
      kill(init, SIGKILL);
      kill(supervisor, SIGKILL);
      (void)jail_test::wait_exit(supervisor);
    }
    (void)sys::write_all(ends[1], text);
    _exit(0);
  }
  close(ends[1]);
  const std::string text = jail_test::drain(ends[0]);
  close(ends[0]);
  (void)jail_test::wait_exit(pid);
  CHECK(text == "0\nharbour\n         0      54321          1\n");
}
