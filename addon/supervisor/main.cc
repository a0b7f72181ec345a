// dinghy-supervisor MODE: every native role in one static binary. ARCHITECTURE.md says who starts which mode, and with
// what.
#include <cstdio>
#include <cstring>

#include "supervisor/modes.h"

namespace {

struct Mode {
  const char* name;
  int (*run)();
};

constexpr Mode kModes[] = {
    {"supervise", supervisor::supervise_mode}, {"join", supervisor::join_mode},   {"unpack", supervisor::unpack_mode},
    {"pack", supervisor::pack_mode},           {"clean", supervisor::clean_mode}, {"probe", supervisor::probe_mode},
    {"seccomp", supervisor::seccomp_mode},
};

}  // namespace

int main(int argc, char** argv) {
  for (const Mode& mode : kModes) {
    if (argc == 2 && std::strcmp(argv[1], mode.name) == 0) return mode.run();
  }
  std::fputs("dinghy-supervisor is started by the dinghy library: it is not a command\n", stderr);
  return 2;
}
