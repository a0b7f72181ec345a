// The parts of Docker's default profile that depend on capabilities or on arguments.
#include <linux/capability.h>

#include <iterator>

#include "jail/seccomp/profile.h"

namespace jail::seccomp {
namespace {

constexpr const char* kDacReadSearch[] = {"open_by_handle_at"};
// clang-format off
constexpr const char* kSysAdmin[] = {
    "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie",
    "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount", "mount_setattr", "move_mount", "open_tree",
    "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2",
    "unshare",
};
// clang-format on
constexpr const char* kSysBoot[] = {"reboot"};
constexpr const char* kSysChroot[] = {"chroot"};
constexpr const char* kSysModule[] = {"delete_module", "init_module", "finit_module"};
constexpr const char* kSysPacct[] = {"acct"};
constexpr const char* kSysPtrace[] = {"kcmp", "pidfd_getfd", "process_madvise"};
constexpr const char* kSysRawio[] = {"iopl", "ioperm"};
constexpr const char* kSysTime[] = {"settimeofday", "stime", "clock_settime", "clock_settime64"};
constexpr const char* kSysTtyConfig[] = {"vhangup"};
constexpr const char* kSysNice[] = {"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"};
constexpr const char* kSyslog[] = {"syslog"};
constexpr const char* kBpf[] = {"bpf"};
constexpr const char* kPerfmon[] = {"perf_event_open"};

template <size_t N>
constexpr CapabilityCalls with(unsigned bit, const char* const (&calls)[N]) {
  return {bit, calls, N};
}

constexpr unsigned kCapPerfmon = 38;
constexpr unsigned kCapBpf = 39;

constexpr CapabilityCalls kCapabilities[] = {
    with(CAP_DAC_READ_SEARCH, kDacReadSearch),
    with(CAP_SYS_ADMIN, kSysAdmin),
    with(CAP_SYS_BOOT, kSysBoot),
    with(CAP_SYS_CHROOT, kSysChroot),
    with(CAP_SYS_MODULE, kSysModule),
    with(CAP_SYS_PACCT, kSysPacct),
    with(CAP_SYS_PTRACE, kSysPtrace),
    with(CAP_SYS_RAWIO, kSysRawio),
    with(CAP_SYS_TIME, kSysTime),
    with(CAP_SYS_TTY_CONFIG, kSysTtyConfig),
    with(CAP_SYS_NICE, kSysNice),
    with(CAP_SYSLOG, kSyslog),
    with(kCapBpf, kBpf),
    with(kCapPerfmon, kPerfmon),
};

// Address families. Left out, besides dead protocols: AF_ALG (38), whose kernel crypto was an escape (CVE-2026-31431),
// and AF_VSOCK (40), which has no namespaces and reaches the hypervisor. The 32-bit socketcall(2) passes its arguments
// in memory, where no filter can look.
constexpr ArgumentRule socket_of(uint64_t family) { return {"socket", 0, Compare::kEqual, family}; }

constexpr ArgumentRule kArguments[] = {
    {"socket", 0, Compare::kLess, 12},
    socket_of(13),
    socket_of(14),
    socket_of(15),
    socket_of(16),
    socket_of(17),
    socket_of(18),
    socket_of(21),
    socket_of(22),
    socket_of(24),
    socket_of(26),
    socket_of(27),
    socket_of(28),
    socket_of(29),
    socket_of(30),
    socket_of(31),
    socket_of(32),
    socket_of(33),
    socket_of(35),
    socket_of(36),
    socket_of(39),
    socket_of(41),
    socket_of(42),
    socket_of(43),
    socket_of(44),
    socket_of(45),
    // PER_LINUX, PER_LINUX32, each with UNAME26, and the query.
    {"personality", 0, Compare::kEqual, 0},
    {"personality", 0, Compare::kEqual, 0x0008},
    {"personality", 0, Compare::kEqual, 0x20000},
    {"personality", 0, Compare::kEqual, 0x20008},
    {"personality", 0, Compare::kEqual, 0xffffffff},
};

}  // namespace

const CapabilityCalls* capability_calls(size_t& count) {
  count = std::size(kCapabilities);
  return kCapabilities;
}

const ArgumentRule* argument_rules(size_t& count) {
  count = std::size(kArguments);
  return kArguments;
}

}  // namespace jail::seccomp
