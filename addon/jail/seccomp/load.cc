#include "jail/seccomp/load.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>

#include "sys/small_file.h"

namespace jail::seccomp {
namespace {

constexpr sock_filter kDefault[] = {
#include "seccomp_default.inc"
};

constexpr size_t kMaxBytes = static_cast<size_t>(BPF_MAXINSNS) * sizeof(sock_filter);

}  // namespace

sys::Result<Program> prepare(const std::string& filter) {
  Program program;
  if (filter.empty()) {
    program.built_in = true;
    return program;
  }
  if (filter == "unconfined") {
    program.unconfined = true;
    return program;
  }
  auto bytes = sys::read_file(filter, kMaxBytes);
  if (!bytes) {
    sys::Error failure = bytes.take_failure();
    failure.step = "read seccomp filter";
    return failure;
  }
  if (bytes->empty() || bytes->size() % sizeof(sock_filter) != 0) {
    sys::Error failure = sys::error("read seccomp filter", "not a compiled filter", EINVAL);
    failure.path = filter;
    return failure;
  }
  program.bytes = std::move(*bytes);
  return program;
}

sys::Result<void> load(const Program& program) {
  if (program.unconfined) return {};
  sock_fprog filter{};
  if (program.built_in) {
    filter.len = std::size(kDefault);
    filter.filter = const_cast<sock_filter*>(kDefault);
  } else {
    filter.len = static_cast<unsigned short>(program.bytes.size() / sizeof(sock_filter));
    filter.filter = reinterpret_cast<sock_filter*>(const_cast<char*>(program.bytes.data()));
  }
  // Without SPEC_ALLOW the kernel may turn on costly speculation controls for the whole program (before Linux 5.16).
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter) != 0) {
    return sys::errno_error("seccomp");
  }
  return {};
}

}  // namespace jail::seccomp
