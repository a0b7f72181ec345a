#include "supervisor/host.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr size_t kMaxProcFile = 4096;

}  // namespace

pid_t host_pid(int pidfd) {
  auto info = sys::read_file("/proc/self/fdinfo/" + std::to_string(pidfd), kMaxProcFile);
  if (!info) return 0;
  const size_t line = info->find("Pid:");
  if (line == std::string::npos) return 0;
  const long pid = std::strtol(info->c_str() + line + 4, nullptr, 10);
  return pid > 0 ? static_cast<pid_t>(pid) : 0;
}

pid_t own_host_pid() {
  char target[32] = {};
  if (readlink("/proc/self", target, sizeof target - 1) <= 0) return getpid();
  return static_cast<pid_t>(std::strtol(target, nullptr, 10));
}

std::string boot_id() {
  auto text = sys::read_file("/proc/sys/kernel/random/boot_id", kMaxProcFile);
  if (!text) return {};
  return text->substr(0, text->find('\n'));
}

std::string describe(const sys::Error& error) {
  if (!error.message.empty() || error.err == 0) return error.message;
  return strerror(error.err);
}

}  // namespace supervisor
