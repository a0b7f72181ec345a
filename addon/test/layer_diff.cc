// What a container changed, told from its upper folder: as the kernel's overlay wrote it. Run as root.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "layer/diff.h"
#include "layer_support.h"
#include "sys/bytes.h"

using namespace layer_test;

namespace {

class Lines final : public layer::ChangeSink {
 public:
  sys::Result<void> put(char kind, const std::string& path) override {
    text += std::string(1, kind) + " " + path + "\n";
    return {};
  }
  std::string text;
};

std::string diff_of(const std::string& upper, const std::vector<std::string>& lower, size_t depth = 1024) {
  auto own = layer::Stack::open({upper});
  auto stack = layer::Stack::open(lower);
  if (!own || !stack) return "cannot open";
  Lines lines;
  auto told = layer::diff(*own, *stack, lines, depth);
  return told ? lines.text : told.failure().step + " " + told.failure().path;
}

// What the diff says after `work` has been done in an overlay of the layers.
std::string after(const std::vector<std::string>& lower, const std::function<void(const std::string&)>& work) {
  return upper_after(lower, work, [&](const std::string& upper) { return diff_of(upper, lower); });
}

Tar image() {
  Tar tar;
  tar.folder("etc/").file("etc/passwd", "root").file("etc/group", "staff").folder("var/").folder("var/lib/");
  tar.file("var/lib/old").symlink("link", "etc/passwd").folder("app/").folder("app/sub/").file("app/sub/deep");
  return tar;
}

}  // namespace

TEST_CASE("an untouched overlay has no changes, nor has one that a file was only copied up in") {
  Chain chain;
  chain.add(image());
  CHECK(after(chain.folders, [](const std::string&) {}).empty());
  CHECK(after(chain.folders, [](const std::string& root) { write_file(root + "etc/passwd", "", O_APPEND); }).empty());
}

TEST_CASE("added, modified and deleted things are told with the folders they are in") {
  Chain chain;
  chain.add(image());
  CHECK(after(chain.folders,
              [](const std::string& root) {
                write_file(root + "new", "x");
                write_file(root + "etc/passwd", "more", O_APPEND);
                must(unlink((root + "var/lib/old").c_str()));
                must(mkdir((root + "a").c_str(), 0755));
                must(mkdir((root + "a/b").c_str(), 0755));
                write_file(root + "a/b/c", "x");
                must(chmod((root + "app").c_str(), 0700));
                must(symlink("x", (root + "soft").c_str()));
                must(mkfifo((root + "pipe").c_str(), 0600));
              }) ==
        "A /a\nA /a/b\nA /a/b/c\nC /app\nC /etc\nC /etc/passwd\nA /new\nA /pipe\nA /soft\nC /var\nC /var/lib\n"
        "D /var/lib/old\n");
}

TEST_CASE("a folder removed is told alone; one made anew in its place hides what it had") {
  Chain chain;
  chain.add(image());
  const auto remove = [](const std::string& root) {
    must(unlink((root + "app/sub/deep").c_str()));
    must(rmdir((root + "app/sub").c_str()));
    must(rmdir((root + "app").c_str()));
  };
  CHECK(after(chain.folders, remove) == "D /app\n");
  CHECK(after(chain.folders, [&](const std::string& root) {
          remove(root);
          must(mkdir((root + "app").c_str(), 0755));
          write_file(root + "app/fresh", "x");
        }) == "C /app\nA /app/fresh\nD /app/sub\n");
  // Kinds that change places.
  CHECK(after(chain.folders, [&](const std::string& root) {
          remove(root);
          write_file(root + "app", "a file now");
          must(unlink((root + "link").c_str()));
          must(mkdir((root + "link").c_str(), 0755));
          write_file(root + "link/in", "x");
        }) == "C /app\nC /link\nA /link/in\n");
}

TEST_CASE("what came and went leaves nothing; a file put back as it was is no change") {
  Chain chain;
  chain.add(image());
  CHECK(after(chain.folders, [](const std::string& root) {
          write_file(root + "etc/tmp", "x");
          must(unlink((root + "etc/tmp").c_str()));
          must(mkdir((root + "d").c_str(), 0755));
          must(rmdir((root + "d").c_str()));
        }).empty());
}

TEST_CASE("a whiteout over what another layer had hidden already is none") {
  Chain chain;
  chain.add(image());
  chain.add(Tar().file("etc/.wh.group", ""));
  // The kernel needs no whiteout there; one that lies there all the same hides nothing.
  CHECK(after(chain.folders, [](const std::string& root) {
          write_file(root + "etc/group", "again");
          must(unlink((root + "etc/group").c_str()));
        }).empty());
}

TEST_CASE("places that a start makes for its mounts are there from the beginning") {
  Chain chain;
  chain.add(Tar().folder("bin/"));
  CHECK(after(chain.folders, [](const std::string& root) {
          for (const char* name : {"proc", "sys", "dev", "etc"}) must(mkdir((root + name).c_str(), 0755));
          for (const char* name : {"etc/hosts", "etc/hostname", "etc/resolv.conf"}) write_file(root + name, "");
        }).empty());
  CHECK(after(chain.folders, [](const std::string& root) {
          must(mkdir((root + "etc").c_str(), 0755));
          write_file(root + "etc/hosts", "own words");
          write_file(root + "etc/more", "");
          must(mkdir((root + "data").c_str(), 0755));
        }) == "A /data\nC /etc\nA /etc/hosts\nA /etc/more\n");
}

TEST_CASE("file capabilities that came are a change") {
  Chain chain;
  chain.add(image());
  const std::string capability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  CHECK(after(chain.folders, [&](const std::string& root) {
          const std::string path = root + "etc/passwd";
          must(setxattr(path.c_str(), "security.capability", capability.data(), capability.size(), 0));
        }) == "C /etc\nC /etc/passwd\n");
}

TEST_CASE("the marks of a user's overlay count as well") {
  Chain chain;
  chain.add(image());
  Place upper;
  must(mkdir(upper.path("etc").c_str(), 0755));
  must(setxattr(upper.path("etc").c_str(), "user.overlay.opaque", "y", 1, 0));
  CHECK(diff_of(upper.path(""), chain.folders) == "C /etc\nD /etc/group\nD /etc/passwd\n");
}

TEST_CASE("folders nested too deep are an error, not a crash") {
  Chain chain;
  chain.add(image());
  Place upper;
  sys::Fd at(open(upper.path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < 21; depth++) {
    must(mkdirat(at.get(), "d", 0755));
    at.reset(openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  CHECK(diff_of(upper.path(""), chain.folders, 20).starts_with("limit"));
  CHECK(diff_of(upper.path(""), chain.folders, 21).starts_with("A /d\nA /d/d\n"));
}

TEST_CASE("folders that turn into links meanwhile lead nowhere") {
  Chain chain;
  chain.add(image());
  Place upper;
  must(mkdir(upper.path("d").c_str(), 0755));
  must(symlink(upper.outside("").c_str(), upper.path("l").c_str()));
  std::atomic<bool> over = false;
  std::thread attacker([&] {
    while (!over) {
      (void)renameat2(AT_FDCWD, upper.path("d").c_str(), AT_FDCWD, upper.path("l").c_str(), RENAME_EXCHANGE);
    }
  });
  int leaks = 0;
  for (int round = 0; round < 3000; round++) {
    const std::string text = diff_of(upper.path(""), chain.folders);
    if (text.find("canary") != std::string::npos || text.find("root") != std::string::npos) leaks++;
  }
  over = true;
  attacker.join();
  CHECK(leaks == 0);
  CHECK(upper.untouched());
}
