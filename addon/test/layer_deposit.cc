// Archives put into folders that are in use, and the paths that lead there. Run as root.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "layer/deposit.h"
#include "layer/locate.h"
#include "layer_support.h"
#include "sys/bytes.h"

using namespace layer_test;

namespace {

// The archive of `tar` in a place's root, cut into small pieces.
sys::Result<void> deposit(const Place& place, const std::string& tar, layer::DepositOptions options = {},
                          std::vector<std::string>* warnings = nullptr, size_t step = 700) {
  const sys::Fd root(open(place.path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) abort();
  const mode_t mask = umask(0);
  layer::Deposit deposit(root.get(), std::move(options));
  Pieces pieces(tar, step);
  auto done = deposit.run(pieces);
  umask(mask);
  if (warnings != nullptr) *warnings = deposit.warnings();
  return done;
}

layer::DepositOptions on_host() {
  layer::DepositOptions options;
  options.beneath = true;
  return options;
}

void put(const Place& place, const std::string& name, const std::string& text) {
  const sys::Fd fd(open(place.path(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd || !sys::write_all(fd.get(), text)) abort();
}

int error_of(const sys::Result<void>& result) { return result ? 0 : result.failure().err; }

std::string located(const Place& place, const std::string& path, bool follow) {
  const sys::Fd root(open(place.path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto found = layer::locate(root.get(), path, follow);
  return found ? "/" + found->path : "errno " + std::to_string(found.failure().err);
}

}  // namespace

TEST_CASE("an archive goes into what is there: files replaced, folders joined, all else left") {
  Place place;
  REQUIRE(mkdir(place.path("d").c_str(), 0700) == 0);
  put(place, "d/old", "old");
  put(place, "d/stays", "stays");
  Tar tar;
  tar.folder("d/", "0000711").file("d/old", "new", "0000640").folder("d/e/").symlink("d/l", "old");
  tar.hardlink("d/hard", "d/old").file("d/.wh.x", "no whiteout");
  REQUIRE(deposit(place, tar.done()));
  CHECK(place.content("d/old") == "new");
  CHECK(place.content("d/stays") == "stays");
  CHECK(place.content("d/hard") == "new");
  CHECK(place.content("d/.wh.x") == "no whiteout");
  CHECK(place.link("d/l") == "old");
  CHECK((place.status("d")->st_mode & 07777) == 0711);
  CHECK(place.status("d/old")->st_nlink == 2);
  CHECK(place.names() == std::vector<std::string>{"d/", "d/.wh.x", "d/e/", "d/hard", "d/l", "d/old", "d/stays"});
  // Once more: the same again.
  REQUIRE(deposit(place, tar.done()));
  CHECK(place.status("d/old")->st_nlink == 2);
}

TEST_CASE("kinds that do not fit are refused, and what was there stays") {
  Place place;
  REQUIRE(mkdir(place.path("d").c_str(), 0755) == 0);
  put(place, "f", "file");
  CHECK(error_of(deposit(place, Tar().file("d", "x").done())) == EISDIR);
  CHECK(error_of(deposit(place, Tar().symlink("d", "x").done())) == EISDIR);
  CHECK(error_of(deposit(place, Tar().folder("f/").done())) == ENOTDIR);
  CHECK(error_of(deposit(place, Tar().file("f/x", "x").done())) == ENOTDIR);
  CHECK(error_of(deposit(place, Tar().symlink(".", "/etc").done())) == EINVAL);
  CHECK(error_of(deposit(place, Tar().hardlink("x", "nothing").done())) == ENOENT);
  CHECK(error_of(deposit(place, Tar().hardlink("x", "d").done())) == EPERM);
  CHECK(place.content("f") == "file");
  CHECK(place.names() == std::vector<std::string>{"d/", "f"});
}

TEST_CASE("an archive cut anywhere leaves no half file") {
  Tar tar;
  tar.file("a", std::string(3000, 'a')).file("b", std::string(3000, 'b'));
  const std::string whole = tar.done();
  for (size_t size = 512; size < 7 * 1024; size += 512) {
    Place place;
    const bool done = static_cast<bool>(deposit(place, whole.substr(0, size)));
    for (const std::string& name : place.names()) CHECK(place.content(name) == std::string(3000, name[0]));
    // At a member's edge the end is one.
    CHECK(done == (size == 3584));
  }
}

TEST_CASE("given up, it has no half file left") {
  Place place;
  const std::string whole = Tar().file("big", std::string(1 << 20, 'x')).done();
  const int answer = in_child([&] {
    const sys::Fd root(open(place.path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto* deposit = new layer::Deposit(root.get(), {});
    struct Slow final : layer::ByteSource {
      Slow(std::string text, layer::Deposit* target) : bytes(std::move(text)), owner(target) {}
      sys::Result<std::span<const uint8_t>> next() override {
        if (at >= bytes.size() / 2) {
          std::thread([this] {
            owner->abandon();
            _exit(7);
          }).join();
        }
        const size_t from = at;
        at += 4096;
        return std::span<const uint8_t>(reinterpret_cast<const uint8_t*>(bytes.data()) + from, 4096);
      }
      std::string bytes;
      layer::Deposit* owner;
      size_t at = 0;
    } source(whole, deposit);
    (void)deposit->run(source).ok();
    return 1;
  });
  CHECK(answer == 7);
  CHECK(place.names().empty());
}

TEST_CASE("what a name is stripped of, and where its base is") {
  Place place;
  layer::DepositOptions options;
  options.base = "to/here";
  options.strip = 1;
  REQUIRE(deposit(place, Tar().folder("root/").file("root/a", "x").hardlink("root/b", "root/a").done(), options));
  CHECK(place.content("to/here/a") == "x");
  CHECK(place.status("to/here/b")->st_nlink == 2);
  options.base = "to/file";
  REQUIRE(deposit(place, Tar().file("root", "alone").done(), options));
  CHECK(place.content("to/file") == "alone");
  CHECK(error_of(deposit(place, Tar().file("./", "x").done(), options)) != 0);
}

TEST_CASE("owners, set-id bits and devices by the options") {
  Place place;
  Fields fields;
  fields.name = "f";
  fields.mode = "0004755";
  fields.uid = octal(1234, 7);
  fields.gid = octal(2345, 7);
  layer::DepositOptions options;
  REQUIRE(deposit(place, Tar().add(fields, "x").done(), options));
  CHECK(place.status("f")->st_uid == 1234);
  CHECK((place.status("f")->st_mode & 07777) == 04755);
  options.owners = layer::DepositOptions::Owners::kRoot;
  options.plain = true;
  REQUIRE(deposit(place, Tar().add(fields, "x").done(), options));
  CHECK(place.status("f")->st_uid == 0);
  CHECK((place.status("f")->st_mode & 07777) == 0755);
  options.owners = layer::DepositOptions::Owners::kOwn;
  std::vector<std::string> warnings;
  for (const bool devices : {false, true}) {
    options.devices = devices;
    const std::string tar = Tar().node("null", '3', 1, 3).hardlink("too", "null").node("p", '6', 0, 0).done();
    REQUIRE(deposit(place, tar, options, &warnings));
    // Not even if they are allowed: this is no overlay, so it would be the host's.
    CHECK(!place.exists("null"));
    CHECK(!place.exists("too"));
    CHECK(place.exists("p"));
    CHECK(warnings.size() == 2);
  }
}

TEST_CASE("no link in the archive or the folder leads out, in either way of looking") {
  for (const bool host : {false, true}) {
    Place place;
    REQUIRE(symlink(place.outside("").c_str(), place.path("trap").c_str()) == 0);
    REQUIRE(symlink("../../../../../../../..", place.path("up").c_str()) == 0);
    const std::string outside = place.outside("canary");
    const std::vector<std::string> tars = {
        Tar().file("trap/canary", "evil").done(),
        Tar().file("up" + outside, "evil").done(),
        Tar().file("../../../../../../.." + outside, "evil").done(),
        Tar().file(outside, "evil").done(),
        Tar().symlink("l", place.outside("")).file("l/canary", "evil").done(),
        Tar().hardlink("h", "trap/canary").done(),
        Tar().hardlink("h", ".." + outside).done(),
        Tar().symlink("m", "/proc/self/root").file("m" + outside, "evil").done(),
        Tar().folder("trap/canary/").done(),
    };
    for (const std::string& tar : tars) {
      (void)deposit(place, tar, host ? on_host() : layer::DepositOptions()).ok();
      CHECK(place.untouched());
    }
  }
}

TEST_CASE("on the host no link below the destination is followed at all") {
  Place place;
  REQUIRE(mkdir(place.path("real").c_str(), 0755) == 0);
  REQUIRE(symlink("real", place.path("l").c_str()) == 0);
  CHECK(error_of(deposit(place, Tar().file("l/x", "x").done(), on_host())) != 0);
  REQUIRE(deposit(place, Tar().file("l/x", "x").done()));
  CHECK(place.content("real/x") == "x");
}

TEST_CASE("folders swapped for links meanwhile: nothing outside is written") {
  for (const bool host : {false, true}) {
    Place place;
    REQUIRE(mkdir(place.path("d").c_str(), 0755) == 0);
    REQUIRE(symlink(place.outside("").c_str(), place.path("l").c_str()) == 0);
    std::atomic<bool> over = false;
    std::thread attacker([&] {
      while (!over)
        (void)renameat2(AT_FDCWD, place.path("d").c_str(), AT_FDCWD, place.path("l").c_str(), RENAME_EXCHANGE);
    });
    const std::string tar = Tar().folder("d/").file("d/canary", "evil").hardlink("d/h", "d/canary").done();
    int landed = 0;
    for (int round = 0; round < 2000; round++) {
      if (deposit(place, tar, host ? on_host() : layer::DepositOptions())) landed++;
    }
    over = true;
    attacker.join();
    CHECK(landed > 0);
    CHECK(place.untouched());
  }
}

TEST_CASE("nothing is written into the kernel's own file systems") {
  const int answer = in_child([] {
    if (!own_mounts() || mkdir("/mnt/proc", 0755) != 0 || mount("proc", "/mnt/proc", "proc", 0, nullptr) != 0) return 2;
    const sys::Fd root(open("/mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    layer::Deposit deposit(root.get(), {});
    Pieces pieces(Tar().file("proc/self/oom_score_adj", "0").done(), 512);
    auto done = deposit.run(pieces);
    return !done && done.failure().err == EACCES ? 0 : 1;
  });
  CHECK(answer == 0);
}

TEST_CASE("zeros become holes, and the content stays") {
  Place place;
  std::string data(1 << 20, '\0');
  data.replace(500'000, 5, "hello");
  REQUIRE(deposit(place, Tar().file("f", data).done(), {}, nullptr, 262144));
  CHECK(place.content("f") == data);
  CHECK(place.status("f")->st_blocks * 512 < 200'000);
}

TEST_CASE("too many entries and too deep folders are limits") {
  Place place;
  layer::DepositOptions options;
  options.entries = 2;
  options.depth = 3;
  auto many = deposit(place, Tar().file("a").file("b").file("c").done(), options);
  CHECK(!many);
  CHECK(many.failure().step == "limit");
  CHECK(!deposit(place, Tar().file("a/b/c/d").done(), options));
}

TEST_CASE("a path is located as inside, links followed only where asked") {
  Place place;
  REQUIRE(mkdir(place.path("etc").c_str(), 0755) == 0);
  put(place, "etc/passwd", "x");
  REQUIRE(symlink("/etc/passwd", place.path("abs").c_str()) == 0);
  REQUIRE(symlink("etc", place.path("rel").c_str()) == 0);
  REQUIRE(symlink("/nowhere/x", place.path("dangling").c_str()) == 0);
  REQUIRE(symlink("/new", place.path("fresh").c_str()) == 0);
  REQUIRE(symlink("loop", place.path("loop").c_str()) == 0);
  REQUIRE(symlink("../../../../etc/passwd", place.path("etc/up").c_str()) == 0);
  CHECK(located(place, "/abs", false) == "/abs");
  CHECK(located(place, "/abs", true) == "/etc/passwd");
  CHECK(located(place, "rel/up", true) == "/etc/passwd");
  CHECK(located(place, "/rel/../rel/.", true) == "/etc");
  CHECK(located(place, "/../../etc", true) == "/etc");
  CHECK(located(place, "/", true) == "/");
  CHECK(located(place, "/fresh", true) == "/new");
  CHECK(located(place, "/dangling", true) == "errno " + std::to_string(ENOENT));
  CHECK(located(place, "/loop", true) == "errno " + std::to_string(ELOOP));
  CHECK(located(place, "/etc/passwd/x", true) == "errno " + std::to_string(ENOTDIR));
  CHECK(located(place, "/" + std::string(300, 'x'), true) == "errno " + std::to_string(ENAMETOOLONG));
}
