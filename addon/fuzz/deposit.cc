// libFuzzer: any archive, put into a folder that has links and files of its own, is put there or refused; nothing
// beside it changes, and no half-written file stays.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "fuzz/checksums.h"
#include "layer/deposit.h"
#include "layer/remove_tree.h"

namespace {

class OneSource final : public layer::ByteSource {
 public:
  OneSource(const uint8_t* bytes, size_t size) : bytes_(bytes, size) {}
  sys::Result<std::span<const uint8_t>> next() override {
    const auto chunk = bytes_.first(std::min<size_t>(bytes_.size(), 700));
    bytes_ = bytes_.subspan(chunk.size());
    return chunk;
  }

 private:
  std::span<const uint8_t> bytes_;
};

void must(bool holds) {
  if (!holds) abort();
}

std::string base;

void make_base() {
  char name[] = "/tmp/fuzz-deposit-XXXXXX";
  must(mkdtemp(name) != nullptr);
  base = name;
  const sys::Fd canary(open((base + "/canary").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  must(write(canary.get(), "safe", 4) == 4);
  atexit([] {
    (void)unlink((base + "/canary").c_str());
    (void)rmdir(base.c_str());
  });
}

void check_canary() {
  struct stat status = {};
  must(stat((base + "/canary").c_str(), &status) == 0 && status.st_size == 4 && status.st_nlink == 1 &&
       (status.st_mode & 07777) == 0600);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t size) {
  const std::vector<uint8_t> fixed = with_checksums(input, size);
  const uint8_t* bytes = fixed.data();
  if (base.empty()) make_base();
  const std::string root_path = base + "/root";
  must(mkdir(root_path.c_str(), 0755) == 0);
  must(symlink(base.c_str(), (root_path + "/l").c_str()) == 0);
  must(symlink("../../..", (root_path + "/u").c_str()) == 0);
  {
    const sys::Fd root(open(root_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    layer::DepositOptions options;
    options.beneath = size > 0 && (bytes[0] & 1) != 0;
    options.strip = size > 0 && (bytes[0] & 2) != 0 ? 1 : 0;
    options.owners = layer::DepositOptions::Owners::kOwn;
    options.plain = true;
    options.entries = 64;
    layer::Deposit deposit(root.get(), options);
    OneSource source(bytes + (size > 0 ? 1 : 0), size > 0 ? size - 1 : 0);
    (void)deposit.run(source).ok();
  }
  check_canary();
  const sys::Fd parent(open(base.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  must(layer::remove_tree(parent.get(), "root", [](ino_t) {}).ok());
  return 0;
}
