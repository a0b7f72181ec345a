// The roles of the binary. Each returns the process's exit code.
#pragma once

namespace supervisor {

// The parent of one container for its whole life; fd 4 is the container's lock.
int supervise_mode();

// One more process in a running container; fds 0, 1 and 2 become its own.
int join_mode();

// One layer: the blob in on fd 0, the kept blob and the layer's folder out.
int unpack_mode();

// A tree, of a container or any folder's, as a tar archive on fd 1.
int pack_mode();

// Folders, cgroups, links and files that a killed supervisor left are removed.
int clean_mode();

// What this host can do, and why not.
int probe_mode();

// A seccomp filter for a set of capabilities is compiled into a file.
int seccomp_mode();

}  // namespace supervisor
