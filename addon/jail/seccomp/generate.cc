// Run by the build: writes the default filter as the initializer of an array of struct sock_filter.
#include <linux/filter.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "jail/seccomp/compile.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    (void)fprintf(stderr, "usage: seccomp-generate OUTPUT\n");
    return 2;
  }
  auto program = jail::seccomp::compile(jail::seccomp::kDockerCapabilities);
  if (!program) {
    const sys::Error& failure = program.failure();
    (void)fprintf(stderr, "%s: %s: %s\n", failure.step.c_str(), failure.message.c_str(), strerror(failure.err));
    return 1;
  }
  std::string text;
  for (size_t at = 0; at + sizeof(sock_filter) <= program->size(); at += sizeof(sock_filter)) {
    sock_filter instruction{};
    memcpy(&instruction, program->data() + at, sizeof instruction);
    char line[64];
    (void)snprintf(line, sizeof line, "{0x%02x, %u, %u, 0x%08x},\n", instruction.code, instruction.jt, instruction.jf,
                   instruction.k);
    text += line;
  }
  FILE* out = fopen(argv[1], "we");
  if (out == nullptr) {
    perror(argv[1]);
    return 1;
  }
  const bool written = fwrite(text.data(), 1, text.size(), out) == text.size();
  if (fclose(out) != 0 || !written) {
    perror(argv[1]);
    return 1;
  }
  return 0;
}
