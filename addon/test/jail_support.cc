#include "test/jail_support.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "jail/seccomp/compile.h"
#include "sys/kernel.h"

namespace jail_test {
namespace {

void must(bool ok, const char* what) {
  if (ok) return;
  perror(what);
  abort();
}

const char* const kCommands[] = {
    "sh",    "cat",  "true", "false",   "ls",    "id",    "sleep", "mount", "hostname", "stty",   "grep",   "readlink",
    "touch", "echo", "ps",   "ulimit",  "mkdir", "mknod", "stat",  "head",  "wc",       "umount", "chroot", "env",
    "dd",    "pwd",  "tty",  "unshare", "kill",  "find",  "sed",   "tr",    "cut",      "sort",   "test",   "seq",
};

}  // namespace

Sandbox::Sandbox() {
  char name[] = "/tmp/dinghy-jail-XXXXXX";
  must(mkdtemp(name) != nullptr, "mkdtemp");
  folder_ = name;
  for (const char* folder : {"lower", "lower/bin", "lower/etc", "lower/tmp", "lower/root", "upper", "work", "volume"}) {
    must(mkdir(path(folder).c_str(), 0755) == 0, folder);
  }
  std::error_code failure;
  std::filesystem::copy_file("/bin/busybox", path("lower/bin/busybox"), failure);
  must(!failure, "copy busybox");
  for (const char* command : kCommands) {
    must(symlink("busybox", path(std::string("lower/bin/") + command).c_str()) == 0, command);
  }
  write_lower("etc/passwd",
              "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n");
  write_lower("etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app,other\nmore:x:2001:other,app\n");
}

Sandbox::~Sandbox() {
  // The kernel may take the overlay down a moment after its last process was reaped, and empties work/ while doing so.
  std::error_code failure;
  for (int attempt = 0; attempt < 50; attempt++) {
    std::filesystem::remove_all(folder_, failure);
    if (!failure) return;
    usleep(20000);
  }
  must(false, "remove sandbox");
}

void Sandbox::write_lower(const std::string& name, const std::string& content, mode_t mode) const {
  const std::string file = path("lower/" + name);
  std::error_code failure;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), failure);
  std::ofstream(file) << content;
  must(chmod(file.c_str(), mode) == 0, file.c_str());
}

jail::Spec default_spec(const Sandbox& sandbox, std::vector<std::string> args) {
  jail::Spec spec;
  spec.process.args = std::move(args);
  spec.process.env = {"PATH=/bin"};
  spec.process.create_cwd = true;
  const uint64_t capabilities = jail::seccomp::kDockerCapabilities;
  spec.process.capabilities = {capabilities, capabilities, capabilities};
  spec.rootfs.lower = {sandbox.path("lower")};
  spec.rootfs.upper = sandbox.path("upper");
  spec.rootfs.work = sandbox.path("work");
  spec.rootfs.is_volatile = true;
  spec.hostname = "harbour";
  for (const int flag : {CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP}) {
    spec.namespaces.push_back({flag, {}});
  }
  spec.mounts = {
      {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
      {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
      {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "ro"}},
  };
  spec.masked_paths = {"/proc/acpi",
                       "/proc/asound",
                       "/proc/interrupts",
                       "/proc/kcore",
                       "/proc/keys",
                       "/proc/latency_stats",
                       "/proc/sched_debug",
                       "/proc/scsi",
                       "/proc/timer_list",
                       "/proc/timer_stats",
                       "/sys/devices/virtual/powercap",
                       "/sys/firmware"};
  spec.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  return spec;
}

std::string drain(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;  // EIO: the last slave of a pty was closed
    text.append(buffer, static_cast<size_t>(n));
  }
}

int wait_exit(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

namespace {

jail::Cgroup make_cgroup(const jail::Spec& spec, sys::Error& error) {
  if (spec.cgroups_path.empty()) return {};
  auto cgroup = jail::Cgroup::create(spec.cgroups_path, spec.resources, spec.rootless);
  if (cgroup) return std::move(*cgroup);
  error = cgroup.take_failure();
  return {};
}

sys::Result<void> drive(jail::Init& init, bool from_namespaces) {
  if (from_namespaces) {
    SYS_TRY(jail::wait(init, jail::Point::kNamespaces));
    SYS_TRY(jail::release(init, jail::Point::kNamespaces));
  }
  SYS_TRY(jail::wait(init, jail::Point::kRootfs));
  SYS_TRY(jail::release(init, jail::Point::kRootfs));
  return jail::wait(init, jail::Point::kExec);
}

struct Pipe {
  sys::Fd read, write;
  Pipe() {
    int ends[2];
    must(pipe2(ends, O_CLOEXEC) == 0, "pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
};

Outcome finish(sys::Result<jail::Init> init, Pipe& pipe, bool from_namespaces) {
  Outcome outcome;
  pipe.write.reset();
  if (!init) {
    outcome.error = init.take_failure();
    return outcome;
  }
  auto driven = drive(*init, from_namespaces);
  if (!driven) outcome.error = driven.take_failure();
  outcome.out = drain(init->master ? init->master.get() : pipe.read.get());
  outcome.code = wait_exit(init->pid);
  return outcome;
}

}  // namespace

Outcome run(const jail::Spec& spec) {
  Outcome outcome;
  jail::Cgroup cgroup = make_cgroup(spec, outcome.error);
  if (!outcome.error.step.empty()) return outcome;
  Pipe pipe;
  jail::Stdio stdio;
  if (!spec.process.terminal) stdio = {-1, pipe.write.get(), pipe.write.get()};
  outcome = finish(jail::create(spec, stdio, cgroup), pipe, true);
  auto removed = cgroup.remove();
  if (!removed && outcome.error.step.empty()) outcome.error = removed.take_failure();
  return outcome;
}

Running start(const jail::Spec& spec) {
  Running running;
  sys::Error error;
  running.cgroup = make_cgroup(spec, error);
  if (!error.step.empty()) (void)fprintf(stderr, "%s: %s\n", error.step.c_str(), error.message.c_str());
  must(error.step.empty(), "cgroup");
  auto init = jail::create(spec, {}, running.cgroup);
  must(init.ok(), "create");
  running.init = std::move(*init);
  auto driven = drive(running.init, true);
  if (!driven) (void)fprintf(stderr, "%s: %s\n", driven.failure().step.c_str(), driven.failure().message.c_str());
  must(driven.ok(), "start");
  return running;
}

void stop(Running& running) {
  (void)sys::pidfd_send_signal(running.init.pidfd.get(), SIGKILL);
  (void)wait_exit(running.init.pid);
  must(running.cgroup.remove().ok(), "remove cgroup");
}

Outcome exec(Running& running, const jail::Process& process, const std::string& name) {
  Outcome outcome;
  must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "subreaper");
  auto cgroup = jail::Cgroup::create_exec(running.cgroup.folder_fds(), name);
  if (!cgroup) {
    outcome.error = cgroup.take_failure();
    return outcome;
  }
  jail::Target target;
  target.pidfd.reset(fcntl(running.init.pidfd.get(), F_DUPFD_CLOEXEC, 3));
  Pipe pipe;
  jail::Stdio stdio;
  if (!process.terminal) stdio = {-1, pipe.write.get(), pipe.write.get()};
  outcome = finish(jail::join(target, process, stdio, *cgroup), pipe, false);
  auto removed = cgroup->remove();
  if (!removed && outcome.error.step.empty()) outcome.error = removed.take_failure();
  return outcome;
}

}  // namespace jail_test
