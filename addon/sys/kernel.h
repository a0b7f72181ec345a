// System calls that the oldest supported C library (glibc 2.31) does not wrap. Raw on purpose: the addon is built from
// these files too and must not import newer symbols. Each returns what the kernel returned, with errno set, as libc
// would.
#pragma once

#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/types.h>

#include <cstdint>

#include "sys/fd.h"
#include "sys/result.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

namespace sys {

// clone3(2) in its fork-like form: no stack, the child returns 0 here. Only for processes with one thread.
pid_t clone3(struct clone_args& args);

int pidfd_open(pid_t pid, unsigned flags);
int pidfd_send_signal(int pidfd, int signal);
int pidfd_getfd(int pidfd, int target_fd);
int close_range(unsigned first, unsigned last, unsigned flags);

int fsopen(const char* type, unsigned flags);
int fsconfig(int fd, unsigned command, const char* key, const void* value, int aux);
int fsmount(int fd, unsigned flags, unsigned attributes);
int open_tree(int dir, const char* path, unsigned flags);
int move_mount(int from_dir, const char* from, int to_dir, const char* to, unsigned flags);
int mount_setattr(int dir, const char* path, unsigned flags, const struct mount_attr& attributes);
int pivot_root(const char* new_root, const char* put_old);

// openat2(2) with O_CLOEXEC added. A resolution that races with a rename gives EAGAIN: retried a bounded number of
// times, because an attacker can keep renaming for ever.
int openat2(int dir, const char* path, uint64_t flags, uint64_t resolve, mode_t mode = 0);

// As openat2, as a result whose error names the path.
Result<Fd> open_in(int root, const char* path, uint64_t flags, uint64_t resolve, mode_t mode = 0);

// The way into a container's root: links are followed as if `root` were "/", never through procfs magic links.
constexpr uint64_t kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

}  // namespace sys
