#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "jail/seccomp/compile.h"
#include "jail/seccomp/custom.h"
#include "jail/spec.h"
#include "supervisor/handshake.h"
#include "supervisor/modes.h"
#include "supervisor/process.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

sys::Result<void> compile_into_file(const Request& request) {
  if (request.op != "seccomp") return sys::error("seccomp", "the only request is seccomp", EPROTO);
  sys::JsonReader reader("seccomp");
  const auto names = reader.texts(&request.document, "capabilities");
  const std::string out = reader.text(&request.document, "out");
  const sys::Json* profile = reader.object(&request.document, "profile");
  SYS_TRY(reader.done());
  uint64_t capabilities = 0;
  for (const std::string& name : names) {
    const uint64_t bit = jail::capability_bit(name);
    if (bit == 0) return sys::error("seccomp", "there is no capability " + name, EINVAL);
    capabilities |= bit;
  }
  auto program = profile != nullptr ? jail::seccomp::compile_custom(*profile) : jail::seccomp::compile(capabilities);
  if (!program) return program.take_failure();
  const size_t slash = out.rfind('/');
  if (slash == std::string::npos) return sys::error("seccomp", "out must be an absolute path", EINVAL);
  const sys::Fd folder(open(out.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return sys::errno_error("open", out);
  return sys::replace_file(folder.get(), out.c_str() + slash + 1, *program, 0600, false);
}

}  // namespace

int seccomp_mode() {
  prepare_process(kControlFd + 1);
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  const auto compiled = compile_into_file(first->request);
  if (!compiled) {
    reply_error_now(kControlFd, first->request.id, compiled.failure());
    return 1;
  }
  reply_now(kControlFd, first->request.id, "{}");
  return 0;
}

}  // namespace supervisor
