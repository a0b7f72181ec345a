#include "net/helper.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/kernel.h"

namespace net {
namespace {

constexpr int kExitSetup = 1;
constexpr uid_t kNobody = 65534;

sys::Result<void> drop_privileges() {
  // A privileged descriptor, core file or ptrace is nothing that a process which talks to strangers should offer.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::errno_error("no_new_privs");
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    (void)prctl(PR_CAPBSET_DROP, capability, 0, 0,
                0);  // EPERM without CAP_SETPCAP: then there is nothing to inherit either
  }
  // In a user namespace without that id (EINVAL) the own id is as powerless on the host as nobody's.
  if (geteuid() == 0) {
    if (setgroups(0, nullptr) != 0 && errno != EPERM) return sys::errno_error("setgroups");
    if (setresgid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) return sys::errno_error("setresgid");
    if (setresuid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) return sys::errno_error("setresuid");
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  if (syscall(SYS_capset, &header, none.data()) != 0) return sys::errno_error("capset");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return sys::errno_error("PR_SET_DUMPABLE");
  return {};
}

void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < 32; number++) (void)sigaction(number, &action, nullptr);
  action.sa_handler = SIG_IGN;  // splice(2) into a closed socket
  (void)sigaction(SIGPIPE, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Leaves open exactly: /dev/null as 0, 1, 2, control as 3, those to keep from 4 on, in order. The caller's lock above
// all must not stay: a copy of it would make the container look alive.
sys::Result<void> keep_only(int control, const std::vector<int>& keep) {
  // First out of the way of the numbers they shall have.
  int base = kFirstKept + static_cast<int>(keep.size());
  std::vector<int> moved{fcntl(control, F_DUPFD_CLOEXEC, base)};
  for (int fd : keep) moved.push_back(fcntl(fd, F_DUPFD_CLOEXEC, base));
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return sys::errno_error("open", "/dev/null");
  for (int fd = 0; fd < 3; fd++) {
    if (dup2(null, fd) < 0) return sys::errno_error("dup2");
  }
  for (std::size_t i = 0; i < moved.size(); i++) {
    if (moved[i] < 0 || dup2(moved[i], 3 + static_cast<int>(i)) < 0) return sys::errno_error("dup2");
  }
  if (sys::close_range(static_cast<unsigned>(base), ~0U, 0) != 0) return sys::errno_error("close_range");
  return {};
}

[[noreturn]] void run_child(pid_t parent, const char* name, int control, const std::vector<int>& keep,
                            const std::function<int()>& body) {
  (void)prctl(PR_SET_NAME, name, 0, 0, 0);
  reset_signals();
  if (!keep_only(control, keep) || chdir("/") != 0 || !drop_privileges()) _exit(kExitSetup);
  // After the change of ids, which clears it. The parent may have died before: then nobody would ever tell us.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) _exit(kExitSetup);
  _exit(body());
}

}  // namespace

sys::Result<Helper> start_helper(const char* name, const std::vector<int>& keep, const std::function<int()>& body) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return sys::errno_error("start helper", name);
  }
  sys::Fd here(ends[0]);
  sys::Fd there(ends[1]);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return sys::errno_error("start helper", name);
  if (pid == 0) run_child(parent, name, there.get(), keep, body);
  return Helper{pid, std::move(here)};
}

}  // namespace net
