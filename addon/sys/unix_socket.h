// UNIX sockets and the descriptors that travel over them.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "sys/fd.h"
#include "sys/result.h"

namespace sys {

// At most this many descriptors go with one message.
constexpr size_t kMaxPassedFds = 32;

// Both ends, close-on-exec. `type` is SOCK_STREAM or SOCK_SEQPACKET, optionally with SOCK_NONBLOCK.
Result<std::pair<Fd, Fd>> socket_pair(int type);

// One sendmsg(2) of `data` with `fds` attached (SCM_RIGHTS). MSG_NOSIGNAL. Returns the number of bytes sent: a stream
// socket may take fewer, the descriptors go with the first byte.
Result<size_t> send_fds(int socket, const void* data, size_t size, const std::vector<int>& fds);

struct Received {
  size_t size = 0;  // 0: the other end is closed
  std::vector<Fd> fds;
};
// One recvmsg(2), EINTR retried. Descriptors arrive close-on-exec. A truncated message or lost descriptors (MSG_CTRUNC)
// is an error.
Result<Received> receive_fds(int socket, void* data, size_t size);

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};
// Who connected, as the kernel recorded it at connect(2) (SO_PEERCRED, unix(7)).
Result<Peer> peer_of(int socket);

// A listening or a connected SOCK_STREAM socket at `path`. Paths longer than sun_path go through /proc/self/fd/N of the
// folder.
Result<Fd> listen_unix(const std::string& path, int backlog);
Result<Fd> connect_unix(const std::string& path);

}  // namespace sys
