#include "binding/seal.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>
#include <string>

#include "sys/fd.h"

namespace binding {
namespace {

constexpr const char* kBinaryName = "dinghy-supervisor";

std::mutex& mutex() {
  static std::mutex& instance = *new std::mutex;
  return instance;
}
Executable prepared;

// The folder of this addon; and the addon stays mapped from now on: a worker thread that ends would unload it under the thread
// that waits for children, and with it the state that is there once per process.
sys::Result<std::string> pinned_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&current_seal), &info) == 0) {
    return sys::error("dladdr", "the addon's own path is unknown", ENOENT);
  }
  dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD);
  const std::string path(info.dli_fname);
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string(".") : path.substr(0, slash);
}

long configure(int context, unsigned command, const char* key, const char* value) {
  return syscall(SYS_fsconfig, context, command, key, value, 0);
}

int detached(const char* type, const char* lower) {
  const sys::Fd context(static_cast<int>(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC)));
  if (!context) return -1;
  if (lower != nullptr && configure(context.get(), FSCONFIG_SET_STRING, "lowerdir", lower) < 0) return -1;
  if (configure(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr) < 0) return -1;
  const unsigned attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  return static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, attributes));
}

// A read-only overlay that is mounted nowhere: writes fail with EROFS, the text is shared with every other process that runs the
// binary, and it costs a tenth of a copy. An overlay without an upper wants two lowers: the second is an empty tmpfs. Paths
// through /proc/self/fd, because a colon or a comma in the real ones would be read as a separator.
sys::Fd overlay(int folder) {
  const sys::Fd empty(detached("tmpfs", nullptr));
  if (!empty) return {};
  const std::string prefix = "/proc/self/fd/";
  const std::string lower = prefix + std::to_string(folder) + ":" + prefix + std::to_string(empty.get());
  const sys::Fd mount(detached("overlay", lower.c_str()));
  if (!mount) return {};
  return sys::Fd(openat(mount.get(), kBinaryName, O_PATH | O_CLOEXEC | O_NOFOLLOW));
}

// A copy in memory whose seals the kernel enforces for ever: for hosts and users that may not mount an overlay.
sys::Result<sys::Fd> memfd_copy(int source) {
  struct stat status {};
  if (fstat(source, &status) < 0) return sys::errno_error("fstat", kBinaryName);
  // MFD_EXEC (kernel 6.3) is wanted where vm.memfd_noexec is set; older kernels refuse the unknown flag.
  sys::Fd copy(memfd_create(kBinaryName, MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10U));
  if (!copy) copy.reset(memfd_create(kBinaryName, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy) return sys::errno_error("memfd_create");
  for (off_t offset = 0; offset < status.st_size;) {
    const ssize_t sent = sendfile(copy.get(), source, &offset, static_cast<size_t>(status.st_size - offset));
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return sys::errno_error("sendfile", kBinaryName);
  }
  fchmod(copy.get(), 0555);
  if (fcntl(copy.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
    return sys::errno_error("fcntl");
  }
  // execve of a descriptor that is open for writing is ETXTBSY, and a read-only one can be had only by opening it anew.
  sys::Fd readable(open(("/proc/self/fd/" + std::to_string(copy.get())).c_str(), O_RDONLY | O_CLOEXEC));
  if (!readable) return sys::errno_error("open");
  return readable;
}

}  // namespace

sys::Result<Executable> sealed_executable() {
  const std::lock_guard<std::mutex> lock(mutex());
  if (prepared.fd >= 0) return prepared;

  auto folder = pinned_folder();
  if (!folder) return folder.take_failure();
  const std::string path = *folder + "/" + kBinaryName;
  const sys::Fd folder_fd(open(folder->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder_fd) return sys::errno_error("open", *folder);
  const sys::Fd source(openat(folder_fd.get(), kBinaryName, O_RDONLY | O_CLOEXEC));
  if (!source) return sys::errno_error("open", path);

  sys::Fd sealed = overlay(folder_fd.get());
  Seal seal = Seal::kOverlay;
  if (!sealed) {
    auto copy = memfd_copy(source.get());
    if (!copy) return copy.take_failure();
    sealed = std::move(*copy);
    seal = Seal::kMemfd;
  }
  prepared = Executable{sealed.release(), seal};
  return prepared;
}

Seal current_seal() {
  const std::lock_guard<std::mutex> lock(mutex());
  return prepared.seal;
}

}  // namespace binding
