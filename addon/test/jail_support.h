// A container of nothing but busybox, for the tests of jail.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "jail/jail.h"

namespace jail_test {

// A new folder under the temporary folder, with lower/ (busybox and its links, /etc/passwd, /etc/group), upper/, work/
// and volume/. Removed with the object, which also asserts that no cgroup of the test is left.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  // Makes a file, and its folders, in lower/.
  void write_lower(const std::string& name, const std::string& content, mode_t mode = 0644) const;

 private:
  std::string folder_;
};

// The specification that a run with Docker's defaults would have: an overlay of the sandbox, all namespaces, the usual
// mounts, masks, 14 capabilities.
jail::Spec default_spec(const Sandbox& sandbox, std::vector<std::string> args);

struct Outcome {
  sys::Error error;  // empty step: it ran
  std::string out;   // stdout and stderr
  int code = -1;     // exit code, or 128 plus the signal
};

// Runs it to its end. With spec.cgroups_path set it has a cgroup, which is removed afterwards.
Outcome run(const jail::Spec& spec);

// A running `sleep`-like container to join, and what is needed to end it.
struct Running {
  jail::Cgroup cgroup;
  jail::Init init;
};
Running start(const jail::Spec& spec);
void stop(Running& running);

// Runs one more process in it. `name` is the exec's cgroup.
Outcome exec(Running& running, const jail::Process& process, const std::string& name);

// Collects what comes out of `fd` up to its end.
std::string drain(int fd);
int wait_exit(pid_t pid);

}  // namespace jail_test
