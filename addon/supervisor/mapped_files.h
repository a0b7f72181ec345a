// Which files the processes of a container share memory with: what they write there changes a file without a trace in
// its times until the kernel gets round to it, and on tmpfs never (mmap(2), proc_pid_maps(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "layer/replica.h"
#include "sys/fd.h"

namespace supervisor {

// A file in /proc/<pid>/maps that is mapped shared.
struct MappedFile {
  ino_t inode = 0;
  std::string path;  // as the process sees it, relative to its root
};

// Those in the text of such a file; lines that are none are left out.
std::vector<MappedFile> shared_mappings(std::string_view maps);

// The files in the upper folder `upper` of which that is so for any process in these cgroups, maybe more than these.
// All files, where a process may not be looked at. `proc` is /proc, opened before this process gave up its root.
layer::Doubts doubtful_files(const std::vector<sys::Fd>& cgroup_folders, int proc, int upper);

}  // namespace supervisor
