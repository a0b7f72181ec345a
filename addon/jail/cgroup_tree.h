// Folders of a cgroup file system: making, reading and removing them, whichever version it is.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "jail/cgroup.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace jail {

// `path` ("/dinghy/<id>") exists below the hierarchy's mount point. On v2 its parents pass on the controllers in
// `needed`, and those that statistics want if they can; on v1 a cpuset has its parent's CPUs and nodes, without which
// nothing can join it.
sys::Result<sys::Fd> make_cgroup_folder(const Hierarchy& hierarchy, const std::string& path,
                                        const std::vector<std::string>& needed);

// The folder `name` in `parent` and its descendants are gone, or the error EBUSY while processes are left in them.
sys::Result<void> remove_cgroup_folder(int parent, const std::string& name);

// Parents of `path` that are empty now are gone too; others stay.
void remove_empty_parents(const std::string& mount_point, std::string path);

// The processes in `folder` and, with `recursive`, below; pids of other pid namespaces (0) are left out.
std::vector<pid_t> cgroup_processes(int folder, bool recursive);

// The number after `key` in a flat-keyed file ("oom_kill 3"), or `fallback`.
uint64_t read_keyed(int folder, const char* file, std::string_view key, uint64_t fallback);

}  // namespace jail
