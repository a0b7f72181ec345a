// A folder that is written to, and the copy that becomes what it is in passes. Run as root.
#include "layer/replica.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <random>

#include "layer/thread.h"
#include "layer_support.h"
#include "sys/tree.h"

using namespace layer_test;

namespace {

// Two folders beside each other, which the process's end leaves to nobody.
class Folders {
 public:
  Folders() {
    if (mkdtemp(base_.data()) == nullptr) abort();
    must(mkdir(from().c_str(), 0751));
    must(mkdir(to().c_str(), 0700));
    from_.reset(open(from().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    to_.reset(open(to().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~Folders() {
    if (!sys::remove_tree(base_)) abort();
  }
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;

  [[nodiscard]] std::string from(const std::string& name = {}) const { return base_ + "/from/" + name; }
  [[nodiscard]] std::string to(const std::string& name = {}) const { return base_ + "/to/" + name; }
  [[nodiscard]] int from_fd() const { return from_.get(); }
  [[nodiscard]] int to_fd() const { return to_.get(); }
  // Names, kinds, owners, modes, times, contents, attributes, links and marks.
  [[nodiscard]] bool same() const { return layer_of(from(), {}) == layer_of(to(), {}); }

 private:
  std::string base_ = "/tmp/dinghy-layer-XXXXXX";
  sys::Fd from_;
  sys::Fd to_;
};

std::string slurp(const std::string& path) {
  std::string text(100, '\0');
  const sys::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t size = fd ? read(fd.get(), text.data(), text.size()) : 0;
  return text.substr(0, static_cast<size_t>(std::max<ssize_t>(size, 0)));
}

// Any change after this shows in a change time.
void let_the_clock_tick() {
  const timespec pause = {0, 40'000'000};
  nanosleep(&pause, nullptr);
}

void fill(const Folders& folders) {
  const auto at = [&folders](const std::string& name) { return folders.from(name); };
  must(mkdir(at("a").c_str(), 0750));
  must(mkdir(at("a/opaque").c_str(), 01777));
  must(setxattr(at("a/opaque").c_str(), "trusted.overlay.opaque", "y", 1, 0));
  must(setxattr(at("a/opaque").c_str(), "trusted.overlay.origin", "of another", 10, 0));
  must(mknod(at("a/gone").c_str(), S_IFCHR, 0));
  must(link(at("a/gone").c_str(), at("a/opaque/gone too").c_str()));
  write_file(at("a/file"), "content");
  must(chown(at("a/file").c_str(), 1000, 50));
  must(chmod(at("a/file").c_str(), 04755));
  must(setxattr(at("a/file").c_str(), "user.a", "\0=\n", 3, 0));
  must(link(at("a/file").c_str(), at("second").c_str()));
  must(symlink("../../etc/passwd", at("soft").c_str()));
  must(mkfifo(at("a/pipe").c_str(), 0610));
  must(mknod(at("a/null").c_str(), S_IFCHR | 0620, makedev(1, 3)));
  must(mknod(at("a/socket").c_str(), S_IFSOCK | 0777, 0));
  write_file(at("line\nbreak"), "n");
  must(truncate(at("second").c_str(), 5'000'000));
}

// One change of the tree, any that a container's processes may make.
class Meddler {
 public:
  Meddler(const Folders& folders, uint32_t seed) : folders_(folders), random_(seed) {}

  void change() {
    const std::string path = some_path();
    const std::string other = some_path();
    switch (random_() % 13) {
      case 0:
      case 1:
      case 2:
        return write(path, O_CREAT | O_TRUNC);
      case 3:
        return write(path, O_APPEND);
      case 4:
        return ignore(unlink(path.c_str()));
      case 5:
        return ignore(rename(path.c_str(), other.c_str()));
      case 6:
        return ignore(link(path.c_str(), other.c_str()));
      case 7:
        return ignore(mkdir(path.c_str(), 0700 + random_() % 64));
      case 8:
        return ignore(rmdir(path.c_str()));
      case 9:
        return ignore(symlink(other.c_str(), path.c_str()));
      case 10:
        return ignore(fchmodat(AT_FDCWD, path.c_str(), 0600 + random_() % 64, AT_SYMLINK_NOFOLLOW));
      case 11:
        return ignore(mknod(path.c_str(), S_IFCHR, 0));
      default:
        ignore(random_() % 2 == 0 ? lsetxattr(path.c_str(), "user.x", &random_, 1 + random_() % 9, 0)
                                  : lremovexattr(path.c_str(), "user.x"));
        return ignore(lsetxattr(path.c_str(), "trusted.overlay.opaque", "y", 1, 0));
    }
  }

 private:
  static void ignore(int) {}
  std::string some_path() {
    std::string path = folders_.from();
    for (uint32_t depth = random_() % 3; depth > 0; depth--) path += std::to_string(random_() % 4) + "/";
    return path + std::to_string(random_() % 6);
  }
  void write(const std::string& path, int flags) {
    const sys::Fd fd(open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0640));
    const std::string text(random_() % 20000, static_cast<char>('a' + random_() % 26));
    if (fd) ignore(static_cast<int>(::write(fd.get(), text.data(), text.size())));
  }

  const Folders& folders_;
  std::mt19937 random_;
};

}  // namespace

TEST_CASE("a replica has all that a layer is made of, links, attributes and marks, and no sockets") {
  const Folders folders;
  fill(folders);
  layer::Replica replica(folders.from_fd(), folders.to_fd());
  REQUIRE(replica.pass().ok());
  REQUIRE(replica.last_pass({}).ok());
  CHECK(folders.same());
  CHECK(access(folders.to("a/socket").c_str(), F_OK) != 0);
  CHECK(getxattr(folders.to("a/opaque").c_str(), "trusted.overlay.origin", nullptr, 0) < 0);
  struct stat first = {};
  struct stat second = {};
  must(stat(folders.to("a/file").c_str(), &first));
  must(stat(folders.to("second").c_str(), &second));
  CHECK(first.st_ino == second.st_ino);
  CHECK(first.st_blocks * 512 < first.st_size);
}

TEST_CASE("what has not changed is not copied again, and what has is") {
  const Folders folders;
  fill(folders);
  let_the_clock_tick();
  layer::Replica replica(folders.from_fd(), folders.to_fd());
  REQUIRE(replica.pass()->made > 0);
  CHECK(replica.pass()->made == 0);
  write_file(folders.from("line\nbreak"), "another");
  must(unlink(folders.from("soft").c_str()));
  must(mkdir(folders.from("soft").c_str(), 0711));
  must(rename(folders.from("a").c_str(), folders.from("soft/a").c_str()));
  REQUIRE(replica.last_pass({}).ok());
  CHECK(folders.same());
  CHECK(slurp(folders.to("line\nbreak")) == "another");
}

TEST_CASE("whatever is done between the passes, in the end the replica is what the folder is") {
  for (uint32_t seed = 1; seed <= 60; seed++) {
    CAPTURE(seed);
    const Folders folders;
    Meddler meddler(folders, seed);
    layer::Replica replica(folders.from_fd(), folders.to_fd());
    for (int round = 0; round < 4; round++) {
      for (int change = 0; change < 40; change++) meddler.change();
      if (seed % 3 == 0) let_the_clock_tick();
      REQUIRE(replica.pass().ok());
    }
    for (uint32_t change = 0; change < seed % 8; change++) meddler.change();
    REQUIRE(replica.last_pass({}).ok());
    CHECK(folders.same());
  }
}

TEST_CASE("who writes during the passes never breaks one, and is caught up with when he stands still") {
  for (uint32_t seed = 1; seed <= 6; seed++) {
    CAPTURE(seed);
    const Folders folders;
    Meddler meddler(folders, seed);
    std::atomic<bool> done = false;
    layer::Thread writer;
    REQUIRE(writer.start([&] {
      while (!done) meddler.change();
    }));
    layer::Replica replica(folders.from_fd(), folders.to_fd());
    for (int round = 0; round < 30; round++) CHECK(replica.pass().ok());
    done = true;
    writer.join();
    REQUIRE(replica.last_pass({}).ok());
    CHECK(folders.same());
  }
}

TEST_CASE("memory that is shared with a file changes it without a trace, so it is copied when that is doubted") {
  const int status = in_child([] {
    if (!own_mounts()) return 2;
    must(mkdir("/mnt/from", 0700) + mkdir("/mnt/to", 0700));
    write_file("/mnt/from/mapped", "before");
    write_file("/mnt/from/other", "other");
    const sys::Fd from(open("/mnt/from", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const sys::Fd to(open("/mnt/to", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const sys::Fd file(open("/mnt/from/mapped", O_RDWR | O_CLOEXEC));
    auto* memory = static_cast<char*>(mmap(nullptr, 6, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
    let_the_clock_tick();
    layer::Replica replica(from.get(), to.get());
    if (!replica.pass()) return 3;
    memory[0] = 'B';
    struct stat mapped = {};
    must(fstat(file.get(), &mapped));
    auto last = replica.last_pass({false, {mapped.st_ino}});
    if (!last || last->made != 1 || slurp("/mnt/to/mapped") != "Before") return 4;
    memory[0] = 'C';
    last = replica.last_pass({true, {}});
    return last && last->made == 2 && slurp("/mnt/to/mapped") == "Cefore" ? 0 : 5;
  });
  CHECK(status == 0);
}

TEST_CASE("a full disk, and folders nested too deep, are told as such") {
  const int status = in_child([] {
    if (!own_mounts("size=1m")) return 2;
    const Folders folders;
    const sys::Fd to(open("/mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    write_file(folders.from("large"), std::string(3'000'000, 'x'));
    layer::Replica replica(folders.from_fd(), to.get());
    auto pass = replica.pass();
    if (pass.ok()) return 3;
    const sys::Error failure = pass.take_failure();
    return failure.step == "copy" && failure.err == ENOSPC && failure.path == "large" ? 0 : 4;
  });
  CHECK(status == 0);

  const Folders folders;
  std::string path;
  for (int depth = 0; depth < 5; depth++) {
    path += "d/";
    must(mkdir(folders.from(path).c_str(), 0700));
  }
  layer::Replica shallow(folders.from_fd(), folders.to_fd(), 4);
  auto pass = shallow.pass();
  REQUIRE_FALSE(pass.ok());
  CHECK(pass.failure().step == "limit");
}
