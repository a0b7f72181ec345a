#include "binding/seal.h"

#include <fcntl.h>
#include <link.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
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

// dl_iterate_phdr(3) and not dladdr(3): the latter moved to another library in glibc 2.34, and what is built there
// would not load on an older one.
int find_own_path(dl_phdr_info* object, size_t, void* result) {
  const auto here = reinterpret_cast<uintptr_t>(&prepared);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const auto& segment = object->dlpi_phdr[i];
    const uintptr_t start = object->dlpi_addr + segment.p_vaddr;
    if (segment.p_type != PT_LOAD || here < start || here >= start + segment.p_memsz) continue;
    *static_cast<const char**>(result) = object->dlpi_name;
    return 1;
  }
  return 0;
}

// The folder of this addon.
sys::Result<std::string> own_folder() {
  const char* path = nullptr;
  dl_iterate_phdr(find_own_path, &path);
  const char* slash = path == nullptr ? nullptr : std::strrchr(path, '/');
  if (slash == nullptr) return sys::error("dl_iterate_phdr", "the addon's own path is unknown", ENOENT);
  return std::string(path, static_cast<size_t>(slash - path));
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

// A read-only overlay that is mounted nowhere: writes fail with EROFS, the text is shared with every other process that
// runs the binary, and it costs a tenth of a copy. An overlay without an upper wants two lowers: the second is an empty
// tmpfs. Paths through /proc/self/fd, because a colon or a comma in the real ones would be read as a separator.
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
  const off_t size = lseek(source, 0, SEEK_END);
  if (size < 0) return sys::errno_error("lseek", kBinaryName);
  // MFD_EXEC (kernel 6.3) is wanted where vm.memfd_noexec is set; older kernels refuse the unknown flag.
  sys::Fd copy(memfd_create(kBinaryName, MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10U));
  if (!copy) copy.reset(memfd_create(kBinaryName, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy) return sys::errno_error("memfd_create");
  for (off_t offset = 0; offset < size;) {
    const ssize_t sent = sendfile(copy.get(), source, &offset, static_cast<size_t>(size - offset));
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

  auto folder = own_folder();
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
