#include "jail/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "jail/capabilities.h"
#include "jail/command.h"
#include "jail/cwd.h"
#include "jail/guard.h"
#include "jail/reaper.h"
#include "jail/rlimits.h"
#include "jail/stdio.h"
#include "jail/sync.h"
#include "jail/users.h"
#include "sys/kernel.h"

namespace jail {
namespace {

constexpr unsigned kMaxFd = ~0U;

sys::Result<Identity> identity_of(const Process& process) {
  const sys::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return sys::errno_error("open /");
  if (process.user) return find_user(root.get(), *process.user, process.group_add);
  // Numbers still have a home in passwd, if it lists them.
  const std::string numbers = std::to_string(process.uid) + ":" + std::to_string(process.gid);
  Identity identity;
  auto found = process.default_home || !process.group_add.empty() ? find_user(root.get(), numbers, process.group_add)
                                                                  : sys::Result<Identity>(Identity{});
  if (!found) return found;
  identity = std::move(*found);
  identity.uid = process.uid;
  identity.gid = process.gid;
  identity.groups.push_back(process.gid);
  identity.groups.insert(identity.groups.end(), process.additional_gids.begin(), process.additional_gids.end());
  std::sort(identity.groups.begin(), identity.groups.end());
  identity.groups.erase(std::unique(identity.groups.begin(), identity.groups.end()), identity.groups.end());
  return identity;
}

std::vector<std::string> environment_of(const Process& process, const Identity& who) {
  std::vector<std::string> env = process.env;
  const auto is_home = [](const std::string& variable) { return variable.rfind("HOME=", 0) == 0; };
  if (process.default_home && std::none_of(env.begin(), env.end(), is_home)) env.push_back("HOME=" + who.home);
  return env;
}

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

sys::Result<void> set_die_with_parent(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return sys::errno_error("set parent death signal");
  // It may have died just before; then this process has another parent and nobody would end it.
  if (getppid() != parent) return sys::errno_error("set parent death signal", {}, ESRCH);
  return {};
}

}  // namespace

[[noreturn]] void fail(int sync, const sys::Error& failure) {
  sync::send_error(sync, failure);
  _exit(failure.exit_code != 0 ? failure.exit_code : 125);
}

sys::Result<void> stand_at(int sync, Point point) {
  SYS_TRY(sync::send(sync, sync::Kind::kPoint, static_cast<int32_t>(point)));
  return sync::expect_go(sync, static_cast<int32_t>(point));
}

sys::Error launch(const Launch& launch, Terminal terminal) {
  const Process& process = launch.process;
  auto who = identity_of(process);
  if (!who) return who.take_failure();
  SYS_TRY(set_rlimits(process.rlimits));
  SYS_TRY(install_stdio(launch.stdio, terminal, launch.null, *who));
  if (terminal.master) {
    SYS_TRY(sync::send(launch.sync, sync::Kind::kMaster, 0, terminal.master.get()));
    terminal.master.reset();
  }
  umask(process.umask.value_or(022));

  // Loading a filter without no_new_privs needs CAP_SYS_ADMIN, which is about to go.
  if (!process.no_new_privileges) SYS_TRY(seccomp::load(launch.filter));
  SYS_TRY(become(*who, process.capabilities, launch.rootless));
  SYS_TRY(enter_cwd(process.cwd));
  if (launch.die_with >= 0) SYS_TRY(set_die_with_parent(launch.die_with));
  if (process.no_new_privileges) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::errno_error("no_new_privs");
    SYS_TRY(seccomp::load(launch.filter));
  }

  const std::vector<std::string> env = environment_of(process, *who);
  auto path = find_command(process.args[0], env);
  if (!path) return path.take_failure();
  SYS_TRY(stand_at(launch.sync, Point::kRootfs));

  if (launch.status >= 0) SYS_TRY(become_guard(launch.sync, launch.status));
  if (launch.reaper) SYS_TRY(become_reaper(launch.sync, process.terminal));
  // Whatever is still open must not survive execve; what this process itself needs is 0, 1, 2.
  if (sys::close_range(3, kMaxFd, CLOSE_RANGE_CLOEXEC) != 0) return sys::errno_error("close_range");
  const std::vector<char*> arguments = pointers_to(process.args);
  const std::vector<char*> variables = pointers_to(env);
  unblock_signals();
  execve(path->c_str(), arguments.data(), variables.data());
  return execve_error(*path, errno);
}

}  // namespace jail
