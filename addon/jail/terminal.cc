#include "jail/terminal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "sys/kernel.h"

namespace jail {
namespace {

// fs/devpts/inode.c: ptmx is always this inode of its instance.
constexpr ino_t kPtmxInode = 2;

sys::Result<sys::Fd> verified(sys::Fd ptmx) {
  if (!ptmx) return sys::errno_error("open /dev/ptmx");
  struct stat info {};
  struct statfs system {};
  if (fstat(ptmx.get(), &info) != 0 || fstatfs(ptmx.get(), &system) != 0) return sys::errno_error("open /dev/ptmx");
  if (system.f_type != DEVPTS_SUPER_MAGIC || info.st_ino != kPtmxInode || !S_ISCHR(info.st_mode) ||
      info.st_rdev != makedev(5, 2)) {
    return sys::error("open /dev/ptmx", "not the multiplexer of a devpts instance", ENODEV);
  }
  return ptmx;
}

}  // namespace

sys::Result<sys::Fd> open_multiplexer(int devpts) {
  return verified(sys::Fd(openat(devpts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)));
}

sys::Result<sys::Fd> open_multiplexer_in(int root) {
  return verified(sys::Fd(sys::openat2(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY, sys::kInRoot | RESOLVE_NO_SYMLINKS)));
}

sys::Result<Terminal> open_terminal(const sys::Fd& ptmx, uint16_t columns, uint16_t rows) {
  Terminal terminal;
  terminal.master.reset(fcntl(ptmx.get(), F_DUPFD_CLOEXEC, 3));
  if (!terminal.master) return sys::errno_error("open terminal");
  int unlock = 0;
  if (ioctl(terminal.master.get(), TIOCSPTLCK, &unlock) != 0) return sys::errno_error("open terminal");
  terminal.slave.reset(ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave) return sys::errno_error("open terminal");
  // Before the program starts: the first thing it may do is ask.
  if (columns != 0 || rows != 0) {
    const winsize size{rows, columns, 0, 0};
    if (ioctl(terminal.master.get(), TIOCSWINSZ, &size) != 0) return sys::errno_error("set terminal size");
  }
  return terminal;
}

sys::Result<void> bind_console(int dev, const Terminal& terminal) {
  const sys::Fd place(openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0620));
  if (!place) return sys::errno_error("mount /dev/console");
  const sys::Fd clone(sys::open_tree(terminal.slave.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  if (!clone) return sys::errno_error("mount /dev/console");
  if (sys::move_mount(clone.get(), "", place.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return sys::errno_error("mount /dev/console");
  }
  return {};
}

}  // namespace jail
