// Archives that try to reach out of their folder: the cases of containerd's TestBreakouts by name, the node-tar and Go
// advisories of 2026, and somebody who renames things meanwhile. Whatever an archive brings about, the canary beside
// the root stays as it was.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "layer_support.h"

using namespace layer_test;

namespace {

struct Attempt {
  const char* name;
  std::function<Tar(const Place&)> build;
  // What must hold in the root afterwards, if unpacking succeeded.
  std::function<bool(const Place&)> inside = nullptr;
  bool refused = false;
};

const std::vector<Attempt>& attempts() {
  static const std::vector<Attempt> kAttempts = {
      {"SymlinkAbsolute", [](const Place& p) { return Tar().symlink("l", p.outside("")).file("l/canary", "dead"); }},
      {"SymlinkUpAndOut", [](const Place&) { return Tar().symlink("l", "..").file("l/canary", "dead"); },
       [](const Place& p) { return p.content("canary") == "dead"; }},
      {"SymlinkMultipleAbsolute",
       [](const Place& p) {
         return Tar().folder("a/").symlink("a/l", p.outside("")).symlink("b", "/a/l").file("b/canary", "dead");
       }},
      {"SymlinkMultipleRelative",
       [](const Place&) {
         return Tar().folder("a/").symlink("a/l", "../../..").symlink("b", "a/l").file("b/canary", "dead");
       },
       [](const Place& p) { return p.content("canary") == "dead"; }},
      {"SymlinkEmptyFile",
       [](const Place&) { return Tar().file("empty", "").symlink("l", "empty").file("l/x", "dead"); }, nullptr, true},
      {"SymlinkEmptyFilename", [](const Place&) { return Tar().symlink("", "/etc"); }, nullptr, true},
      {"SymlinkParentRelative", [](const Place&) { return Tar().symlink("l/..", "../.."); }, nullptr, true},
      {"SymlinkParentDirectory", [](const Place& p) { return Tar().symlink("..", p.outside("")); }, nullptr, true},
      {"SymlinkSlashEnded", [](const Place&) { return Tar().folder("d/").symlink("l/", "d/").file("l/f", "in"); },
       [](const Place& p) { return p.content("d/f") == "in"; }},
      {"SymlinkOverrideDirectory",
       [](const Place& p) {
         return Tar().folder("d/").file("d/f").symlink("d", p.outside("")).file("d/canary", "dead");
       }},
      {"SymlinkOverrideDirectoryRelative",
       [](const Place&) { return Tar().folder("d/").symlink("d", "../..").file("d/canary", "dead"); },
       [](const Place& p) { return p.content("canary") == "dead"; }},
      {"DirectoryOverrideSymlink",
       [](const Place& p) { return Tar().symlink("d", p.outside("")).folder("d/").file("d/canary", "in"); },
       [](const Place& p) { return p.content("d/canary") == "in"; }},
      {"DirectoryOverrideSymlinkAndHardlink",
       [](const Place& p) {
         return Tar().symlink("d", p.outside("")).folder("d/").file("d/canary", "in").hardlink("h", "d/canary");
       },
       [](const Place& p) { return p.content("h") == "in"; }},
      {"SymlinkOverridePath", [](const Place& p) { return Tar().symlink("l", p.outside("canary")).file("l", "in"); },
       [](const Place& p) { return p.content("l") == "in"; }},
      {"HardlinkRelative", [](const Place&) { return Tar().hardlink("h", "../canary").file("h", "dead"); }},
      {"HardlinkRelativeUpAndOut", [](const Place&) { return Tar().hardlink("h", "../../../../canary"); },
       [](const Place& p) { return !p.exists("h"); }},
      {"HardlinkDownAndOut", [](const Place&) { return Tar().folder("d/").hardlink("h", "d/../../canary"); },
       [](const Place& p) { return !p.exists("h"); }},
      {"HardlinkAbsolute", [](const Place& p) { return Tar().hardlink("h", p.outside("canary")); },
       [](const Place& p) { return !p.exists("h"); }},
      {"HardlinkRelativeLong",
       [](const Place&) {
         std::string up;
         for (int at = 0; at < 20; at++) up += "../";
         return Tar().hardlink("h", up + "canary");
       },
       [](const Place& p) { return !p.exists("h"); }},
      {"HardlinkDirectRelative", [](const Place&) { return Tar().symlink("l", "..").hardlink("h", "l/canary"); },
       [](const Place& p) { return !p.exists("h"); }},
      {"HardlinkDirectAbsolute",
       [](const Place& p) { return Tar().symlink("l", p.outside("")).hardlink("h", "l/canary"); },
       [](const Place& p) { return !p.exists("h"); }},
      {"HardlinkSymlinkBeforeCreateTarget",
       [](const Place& p) { return Tar().symlink("l", p.outside("canary")).hardlink("h", "l").file("h", "in"); },
       [](const Place& p) { return p.content("h") == "in" && p.link("l").has_value(); }},
      {"HardlinkSymlinkRelative", [](const Place&) { return Tar().symlink("l", "../canary").hardlink("h", "l"); },
       [](const Place& p) { return p.link("h") == "../canary"; }},
      {"HardlinkSymlinkAbsolute",
       [](const Place& p) { return Tar().symlink("l", p.outside("canary")).hardlink("h", "l"); },
       [](const Place& p) { return p.link("h").has_value(); }},
      {"HardlinkSymlinkChmod",
       [](const Place& p) {
         Fields link;
         link.name = "h";
         link.flag = '1';
         link.link = "l";
         link.mode = "0000777";
         link.uid = octal(77, 7);
         return Tar().symlink("l", p.outside("canary")).add(link);
       }},
      {"WhiteoutRootParent", [](const Place&) { return Tar().file("../.wh.canary", ""); },
       [](const Place& p) { return p.is_whiteout("canary"); }},
      {"WhiteoutParent", [](const Place&) { return Tar().folder("d/").file("d/.wh...", ""); }, nullptr, true},
      {"WhiteoutRoot", [](const Place&) { return Tar().file(".wh.", ""); }, nullptr, true},
      {"WhiteoutCurrentDirectory", [](const Place&) { return Tar().file("d/.wh..", ""); }, nullptr, true},
      {"WhiteoutSymlink", [](const Place& p) { return Tar().symlink("l", p.outside("canary")).file(".wh.l", ""); },
       [](const Place& p) { return p.link("l").has_value(); }},
      {"WhiteoutSymlinkPath",
       [](const Place& p) { return Tar().symlink("l", p.outside("")).file("l/.wh.canary", ""); }},
      {"WhiteoutDirectoryName", [](const Place&) { return Tar().folder(".wh.d/").file(".wh.d/x"); }, nullptr, true},
      {"WhiteoutDeadSymlinkParent",
       [](const Place& p) { return Tar().symlink("l", p.outside("dead")).file("l/.wh.x", ""); }},
      {"WhiteoutRelativePath", [](const Place&) { return Tar().symlink("l", "..").file("l/../../.wh.canary", ""); }},
      {"OpaqueThroughSymlink",
       [](const Place& p) { return Tar().symlink("etc", p.outside("")).file("etc/.wh..wh..opq", ""); }},
      // CVE-2026-26960: each link is harmless as text.
      {"ChainOfLinks",
       [](const Place&) {
         return Tar()
             .folder("a/b/c/")
             .symlink("a/b/c/up", "../..")
             .symlink("a/b/escape", "c/up/../..")
             .hardlink("exfil", "a/b/escape/canary")
             .file("exfil", "dead");
       },
       [](const Place& p) { return p.content("exfil") == "dead"; }},
      {"FolderThroughLink",
       [](const Place& p) {
         return Tar()
             .symlink("l", p.outside(""))
             .folder("l/", "0000777")
             .symlink("m", "..")
             .folder("m/sub/", "0000777");
       },
       [](const Place& p) { return p.is_folder("l") && p.is_folder("sub"); }},
      {"NodeThroughLink",
       [](const Place& p) { return Tar().symlink("canary", p.outside("canary")).node("canary", '6', 0, 0); }},
      {"LinkOverOpenPath",
       [](const Place& p) {
         return Tar()
             .folder("a/b/")
             .file("a/b/1")
             .symlink("a", p.outside(""))
             .file("a/b/canary", "x")
             .file("a/canary", "x");
       }},
      {"ProcMagic",
       [](const Place&) {
         return Tar().symlink("l", "/proc/self/root").file("l/f").symlink("m", "/proc/self/cwd").file("m/f");
       },
       [](const Place& p) { return p.exists("proc/self/root/f"); }},
  };
  return kAttempts;
}

}  // namespace

TEST_CASE("no archive reaches out of its folder") {
  for (const Attempt& attempt : attempts()) {
    INFO(attempt.name);
    Place place;
    const bool unpacked = place.unpack(attempt.build(place));
    if (attempt.refused) CHECK(!unpacked);
    if (attempt.inside) {
      CHECK(unpacked);
      if (unpacked) CHECK(attempt.inside(place));
    }
    CHECK(place.untouched());
  }
}

TEST_CASE("somebody who renames folders meanwhile can spoil the layer, but leads nothing out") {
  Place place;
  REQUIRE(mkdir(place.outside("stage").c_str(), 0755) == 0);
  REQUIRE(mkdir(place.outside("stage/goal").c_str(), 0755) == 0);
  REQUIRE(symlink(place.outside("stage/goal").c_str(), place.path("swap").c_str()) == 0);
  std::atomic<bool> running = true;
  std::thread attacker([&] {
    // Exchanges the folder d with a link to the goal, as fast as it can.
    while (running) {
      syscall(SYS_renameat2, AT_FDCWD, place.path("d").c_str(), AT_FDCWD, place.path("swap").c_str(),
              2 /* RENAME_EXCHANGE */);
      std::this_thread::yield();  // or the lock of the folder is never free
    }
  });
  Tar tar;
  tar.folder("d/");
  for (int at = 0; at < 100; at++) {
    const std::string number = std::to_string(at);
    tar.file("d/" + number + "/f")
        .folder("d/" + number + "/", "0000777")
        .file("d/f" + number)
        .symlink("x", "d")
        .file("x", "y");
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  int rounds = 0;
  for (; rounds < 500 && std::chrono::steady_clock::now() < end; rounds++) place.unpack(tar);
  CHECK(rounds > 0);
  running = false;
  attacker.join();
  CHECK(rmdir(place.outside("stage/goal").c_str()) == 0);  // empty
}

TEST_CASE("negative control: the same race trips code that resolves paths by string") {
  Place place;
  REQUIRE(mkdir(place.outside("goal").c_str(), 0755) == 0);
  REQUIRE(mkdir(place.path("d").c_str(), 0755) == 0);
  REQUIRE(symlink(place.outside("goal").c_str(), place.path("swap").c_str()) == 0);
  std::atomic<bool> running = true;
  std::thread attacker([&] {
    while (running) {
      syscall(SYS_renameat2, AT_FDCWD, place.path("d").c_str(), AT_FDCWD, place.path("swap").c_str(), 2);
    }
  });
  bool escaped = false;
  for (int at = 0; at < 200000 && !escaped; at++) {
    const std::string name = "f" + std::to_string(at);
    const sys::Fd fd(open(place.path("d/" + name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    escaped = access(place.outside("goal/" + name).c_str(), F_OK) == 0;
  }
  running = false;
  attacker.join();
  CHECK(escaped);
}
