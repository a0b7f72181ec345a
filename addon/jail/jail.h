// One container's isolation, driven from outside: the parent decides what happens at init's named waiting points, so
// that the supervisor and the OCI runtime command line can both drive it. Nothing here knows of a supervisor, a log or
// a socket.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "jail/cgroup.h"
#include "jail/spec.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// Where init stops and waits for its parent.
enum class Point {
  kNamespaces,  // all namespaces exist, nothing is mounted: the parent sets up the network now
  kRootfs,      // the root is mounted and pivoted into; the command was found: only the last steps and execve are left
  kExec,        // execve has succeeded
};

// What the process gets as descriptors 0, 1, 2. Under a tty all three are -1: init allocates the pty inside
// the container and sends its master over the sync socket (Init::master).
struct Stdio {
  int in = -1, out = -1, err = -1;
};

// A process that was cloned and stands at, or is on its way to, a waiting point.
struct Init {
  pid_t pid = -1;  // in the caller's pid namespace
  sys::Fd pidfd;
  sys::Fd sync;     // SOCK_SEQPACKET: points, errors, the pty master. Readable when wait() will not block
  sys::Fd master;   // the pty's master, once kRootfs is reached, under a tty
  sys::Fd network;  // its network namespace, once kNamespaces is reached, when it has a new one
};

// The process exists and runs towards kNamespaces. Nothing of it remains if this fails.
sys::Result<Init> create(const Spec& spec, const Stdio& stdio, const Cgroup& cgroup);

// Blocks until init stands at `point` (kExec: until execve has succeeded), or returns init's own failure with its step.
// A failed init has already ended or is about to; the caller reaps it. Points must be waited for in their order.
sys::Result<void> wait(Init& init, Point point);

// Lets init go on from kNamespaces or kRootfs.
sys::Result<void> release(Init& init, Point point);

// The calling process, which must have one thread, is root of a new user namespace in which `uid` and `gid` (its own
// ids) are 0, and, when ranges are given, 1… are the user's subordinate ids (setuid newuidmap and newgidmap are run for
// that). Without ranges it is a single-id map, and setgroups(2) is denied before the gid map is written
// (CVE-2014-8989).
struct IdRange {
  uid_t start = 0;
  uid_t count = 0;
};
sys::Result<void> enter_user_namespace(uid_t uid, gid_t gid, const IdRange* subuid, const IdRange* subgid);

// --- exec ---------------------------------------------------------------------------------------------------

// What a running container's supervisor hands to a `join` process. The pidfd was opened by init's own
// parent, so it can't be another process's (pid reuse).
struct Target {
  sys::Fd pidfd;
  bool rootless = false;  // it lives in a user namespace that must be entered first
};

// A process in the target's namespaces and in `cgroup` (Cgroup::create_exec), standing at kRootfs; drive it with
// wait(kRootfs), release(kRootfs), wait(kExec). The caller is its parent (pid and pidfd are in the caller's namespace)
// and may stay in its own namespaces; it must be a child subreaper.
sys::Result<Init> join(const Target& target, const Process& process, const Stdio& stdio, const Cgroup& cgroup);

// The same without waiting, for who has a loop. The process is a guard (jail/guard.h) in front of the program: it tells
// the program's end over `status`.
struct Joining {
  pid_t helper = -1;  // ends by itself once finish_join() may be called; not waited for
  sys::Fd sync;       // readable when finish_join() will not block
};
sys::Result<Joining> begin_join(const Target& target, const Process& process, const Stdio& stdio, const Cgroup& cgroup,
                                int status);
sys::Result<Init> finish_join(Joining joining);

}  // namespace jail
