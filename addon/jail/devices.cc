#include "jail/devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "jail/target.h"
#include "sys/kernel.h"

namespace jail {
namespace {

struct DefaultNode {
  const char* name;
  unsigned major;
  unsigned minor;
};

// Documentation/admin-guide/devices.txt of the kernel.
constexpr DefaultNode kNodes[] = {
    {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

struct Link {
  const char* name;
  const char* target;
};

constexpr Link kLinks[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"},
};

mode_t type_bits(char type) {
  if (type == 'b') return S_IFBLK;
  if (type == 'p') return S_IFIFO;
  return S_IFCHR;
}

// The host's node of that number at the same path, checked after it was opened.
sys::Result<sys::Fd> clone_host_node(const Device& device) {
  const std::string step = "device " + device.path;
  const sys::Fd node(::open(device.path.c_str(), O_PATH | O_CLOEXEC));
  if (!node) return sys::errno_error(step, device.path);
  struct stat info {};
  if (fstat(node.get(), &info) != 0) return sys::errno_error(step, device.path);
  if ((info.st_mode & S_IFMT) != type_bits(device.type) || info.st_rdev != makedev(device.major, device.minor)) {
    return sys::error(step, "the host's " + device.path + " is another device", ENODEV);
  }
  sys::Fd clone(sys::open_tree(node.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  if (!clone) return sys::errno_error(step, device.path);
  return clone;
}

sys::Result<void> bind_node(int parent, const std::string& name, const Device& device) {
  const std::string step = "device " + device.path;
  auto clone = clone_host_node(device);
  if (!clone) return clone.take_failure();
  const sys::Fd place(openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0));
  if (!place) return sys::errno_error(step, device.path);
  if (sys::move_mount(clone->get(), "", place.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return sys::errno_error(step, device.path);
  }
  return {};
}

sys::Result<void> make_node(int dev, const Device& device) {
  const std::string step = "device " + device.path;
  const std::string inner = clean_path(std::string_view(device.path).substr(sizeof "/dev/" - 1));
  if (inner.empty()) return sys::errno_error(step, device.path, EINVAL);
  const size_t slash = inner.rfind('/');
  const std::string name = slash == std::string::npos ? inner : inner.substr(slash + 1);
  sys::Fd folder;
  if (slash != std::string::npos) {
    auto made = make_target(dev, inner.substr(0, slash), TargetKind::kFolder);
    if (!made) return made.take_failure();
    folder = std::move(*made);
  }
  const int parent = folder ? folder.get() : dev;

  const mode_t mode = type_bits(device.type) | device.mode;
  if (mknodat(parent, name.c_str(), mode, makedev(device.major, device.minor)) == 0) {
    if ((device.uid != 0 || device.gid != 0) &&
        fchownat(parent, name.c_str(), device.uid, device.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return sys::errno_error(step, device.path);
    }
    return {};
  }
  // A default node that the specification lists as well.
  if (errno == EEXIST) return {};
  // In a user namespace the kernel refuses all nodes but the overlay's whiteout.
  if (errno != EPERM || device.type == 'p') return sys::errno_error(step, device.path);
  return bind_node(parent, name, device);
}

}  // namespace

sys::Result<sys::Fd> open_null() {
  sys::Fd null(::open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!null) return sys::errno_error("open /dev/null");
  struct stat info {};
  if (fstat(null.get(), &info) != 0) return sys::errno_error("open /dev/null");
  if (!S_ISCHR(info.st_mode) || info.st_rdev != makedev(1, 3)) {
    return sys::error("open /dev/null", "the host's /dev/null is not the null device", ENODEV);
  }
  return null;
}

sys::Result<void> populate_dev(int dev, const std::vector<Device>& devices) {
  for (const DefaultNode& node : kNodes) {
    Device device;
    device.path = std::string("/dev/") + node.name;
    device.major = node.major;
    device.minor = node.minor;
    SYS_TRY(make_node(dev, device));
  }
  for (const Link& link : kLinks) {
    if (symlinkat(link.target, dev, link.name) != 0) return sys::errno_error("link /dev", link.name);
  }
  for (const Device& device : devices) SYS_TRY(make_node(dev, device));
  return {};
}

}  // namespace jail
