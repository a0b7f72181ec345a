// What jail needs from an OCI runtime specification 1.2 (config.json) and from its `dinghy` section, as plain data.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sys/result.h"

namespace jail {

// One entry of linux.namespaces: a new one, or an existing one to enter when `path` is set.
struct Namespace {
  int flag = 0;  // CLONE_NEW*
  std::string path;
};

struct Mount {
  std::string destination;
  std::string type;  // "bind" when the options say so, whatever the file wrote
  std::string source;
  std::vector<std::string> options;
  bool copy_up = false;   // an empty source folder is filled from the image's folder first
  std::string subpath{};  // what lies here in the source is mounted; its links lead nowhere but into the source
  // Not empty: the source is the upper folder of an overlay over these, topmost first, which is what is mounted.
  // Without `work` it is read-only, and the source one more lower folder.
  std::vector<std::string> lower{};
  std::string work{};
};

// A node under /dev, besides the ones that every container has.
struct Device {
  std::string path;
  char type = 'c';  // c, b or p
  unsigned major = 0;
  unsigned minor = 0;
  mode_t mode = 0666;
  uid_t uid = 0;
  gid_t gid = 0;
};

// One line of linux.resources.devices. Later rules win over earlier ones.
struct DeviceRule {
  bool allow = false;
  char type = 'a';     // a, b or c
  int64_t major = -1;  // -1: any
  int64_t minor = -1;
  bool read = true;
  bool write = true;
  bool mknod = true;
};

struct Throttle {
  unsigned major = 0;
  unsigned minor = 0;
  uint64_t rate = 0;  // bytes or operations a second
};

// Limits. An absent value is not touched; a present one that no hierarchy can apply is an error.
struct Resources {
  std::optional<int64_t> memory_limit;        // bytes, -1: none
  std::optional<int64_t> memory_reservation;  // bytes
  std::optional<int64_t> memory_swap;         // bytes of memory and swap together (OCI), -1: none
  std::optional<uint64_t> cpu_shares;         // v1 scale, 2 to 262144
  std::optional<int64_t> cpu_quota;           // microseconds in each period, -1: none
  std::optional<uint64_t> cpu_period;         // microseconds
  std::string cpuset_cpus;                    // list format of cpuset(7)
  std::string cpuset_mems;
  std::optional<int64_t> pids_limit;  // -1: none
  std::optional<uint16_t> io_weight;  // 10 to 1000
  std::vector<Throttle> read_bps, write_bps, read_iops, write_iops;
  std::vector<std::pair<std::string, std::string>> unified;  // cgroup v2 files, written as they are
  std::vector<DeviceRule> devices;                           // empty: no device filter at all
};

struct Rlimit {
  int resource = 0;  // RLIMIT_*
  std::string name;
  uint64_t soft = 0;
  uint64_t hard = 0;
};

// Bit n is capability n of capabilities(7). Inheritable and ambient are always emptied (CVE-2022-24769).
struct Capabilities {
  uint64_t bounding = 0;
  uint64_t permitted = 0;
  uint64_t effective = 0;
};

struct Process {
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::string cwd = "/";
  bool create_cwd = false;  // make a missing cwd, as Docker does for an image's WORKDIR
  bool terminal = false;
  uint16_t columns = 0;  // 0: the kernel's default
  uint16_t rows = 0;
  // Who it runs as. `user` ("postgres", "1000", "1000:100", "www-data:adm") is looked up in the container's passwd
  // and group and wins over the numbers.
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids;
  std::optional<std::string> user;
  std::vector<std::string> group_add;  // names or numbers
  bool default_home = false;           // set HOME from passwd when env has none
  std::optional<mode_t> umask;
  Capabilities capabilities;
  std::vector<Rlimit> rlimits;  // what was asked for: one that the host refuses is an error
  std::optional<int> oom_score_adj;
  bool no_new_privileges = false;
  std::string seccomp_filter;  // path of a compiled filter; empty: the built-in default; "unconfined": none
};

// An overlay when `lower` has entries, else the folder `path` itself.
struct Rootfs {
  std::string path;
  std::vector<std::string> lower;  // topmost first, absolute
  std::string upper;               // empty: a read-only root
  std::string work;
  bool is_volatile = false;
  bool userxattr = false;
  bool read_only = false;
  size_t frozen = 0;       // so many of the topmost of `lower` are no image's: containers wrote them
  bool redirects = false;  // folders of lower layers can be renamed, where the kernel allows it: not with userxattr
};

struct Spec {
  Process process;
  Rootfs rootfs;
  std::string hostname;
  std::string domainname;
  std::vector<Namespace> namespaces;
  std::vector<Mount> mounts;
  std::vector<Device> devices;
  Resources resources;
  std::string cgroups_path;  // absolute within each hierarchy; empty: no cgroup of its own
  std::vector<std::pair<std::string, std::string>> sysctls;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  bool init = false;      // a reaping init in front of the program
  bool rootless = false;  // the caller has entered a user namespace: no device nodes, no device filter

  [[nodiscard]] const Namespace* find_namespace(int flag) const;
};

// The specification in config.json. Unknown properties are ignored (OCI "Extensibility"); a wrong type or an unknown
// enumeration value is an error that names the property.
sys::Result<Spec> parse_spec(std::string_view json);

// An OCI process object on its own, as exec sends it.
sys::Result<Process> parse_process(std::string_view json);

// The mask of "CAP_CHOWN", "cap_chown" or "CHOWN"; 0 when there is no such capability.
uint64_t capability_bit(std::string_view name);

}  // namespace jail
