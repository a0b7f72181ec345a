#include "sys/kernel.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sys {

pid_t clone3(struct clone_args& args) { return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args)); }

int pidfd_open(pid_t pid, unsigned flags) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, flags)); }

int pidfd_send_signal(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

int pidfd_getfd(int pidfd, int target_fd) { return static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, target_fd, 0)); }

int close_range(unsigned first, unsigned last, unsigned flags) {
  return static_cast<int>(::syscall(SYS_close_range, first, last, flags));
}

int fsopen(const char* type, unsigned flags) { return static_cast<int>(::syscall(SYS_fsopen, type, flags)); }

int fsconfig(int fd, unsigned command, const char* key, const void* value, int aux) {
  return static_cast<int>(::syscall(SYS_fsconfig, fd, command, key, value, aux));
}

int fsmount(int fd, unsigned flags, unsigned attributes) {
  return static_cast<int>(::syscall(SYS_fsmount, fd, flags, attributes));
}

int open_tree(int dir, const char* path, unsigned flags) {
  return static_cast<int>(::syscall(SYS_open_tree, dir, path, flags));
}

int move_mount(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  return static_cast<int>(::syscall(SYS_move_mount, from_dir, from, to_dir, to, flags));
}

int mount_setattr(int dir, const char* path, unsigned flags, const struct mount_attr& attributes) {
  return static_cast<int>(::syscall(SYS_mount_setattr, dir, path, flags, &attributes, sizeof attributes));
}

int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(::syscall(SYS_pivot_root, new_root, put_old));
}

int openat2(int dir, const char* path, uint64_t flags, uint64_t resolve, mode_t mode) {
  constexpr int kAttempts = 128;
  struct open_how how {};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve;
  int fd = -1;
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    fd = static_cast<int>(::syscall(SYS_openat2, dir, path, &how, sizeof how));
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return fd;
}

Result<Fd> open_in(int root, const char* path, uint64_t flags, uint64_t resolve, mode_t mode) {
  Fd fd(openat2(root, path, flags, resolve, mode));
  if (!fd) return errno_error("open", path);
  return fd;
}

}  // namespace sys
