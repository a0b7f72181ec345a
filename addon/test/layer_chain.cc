// Layers above each other: what mending and squashing make, looked at in the mounted overlay. Run as root.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "layer/squash.h"
#include "layer_support.h"

using namespace layer_test;

namespace {

bool there(const std::string& path) {
  struct stat status = {};
  return lstat(path.c_str(), &status) == 0;
}

struct stat look(const std::string& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) status.st_mode = 0;
  return status;
}

mode_t mode_of(const std::string& path) { return look(path).st_mode & 07777; }

std::string text_of(const std::string& path) {
  const sys::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(4096, '\0');
  const ssize_t size = fd ? read(fd.get(), text.data(), text.size()) : -1;
  return size < 0 ? "<none>" : text.substr(0, static_cast<size_t>(size));
}

// The names that a folder lists: an entry that cannot be looked up, as a stray whiteout is, would be among them.
std::vector<std::string> list(const std::string& path) {
  std::vector<std::string> names;
  DIR* stream = opendir(path.c_str());
  if (stream == nullptr) return {"<none>"};
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

// A folder that only a bottom layer describes, in the way that has gone wrong elsewhere.
Tar private_folder() {
  Fields folder;
  folder.name = "priv/";
  folder.flag = '5';
  folder.mode = "0000700";
  folder.uid = octal(7, 7);
  folder.gid = octal(8, 7);
  return Tar().pax({{"SCHILY.xattr.user.kept", "yes"}, {"mtime", "1000.25"}}).add(folder).file("priv/a");
}

}  // namespace

// "What the engines get wrong", docs/layers.md, row by row.
TEST_CASE("engines 1, D39: a folder without an entry has the attributes of the nearest layer below") {
  Chain chain;
  chain.add(private_folder()).add(Tar().file("other")).add(Tar().file("priv/b"));
  CHECK(in_overlay(chain.folders, [](const std::string& root) {
    const struct stat folder = look(root + "priv");
    char value[8] = {};
    return (folder.st_mode & 07777) == 0700 && folder.st_uid == 7 && folder.st_gid == 8 &&
           folder.st_mtim.tv_sec == 1000 && folder.st_mtim.tv_nsec == 250000000 &&
           getxattr((root + "priv").c_str(), "user.kept", value, sizeof value) == 3 &&
           list(root + "priv") == Names{"a", "b"};
  }));
  // The layer's own folder is left as it was unpacked, for other chains.
  CHECK((chain.layer(2).status("priv")->st_mode & 07777) == 0755);
}

TEST_CASE("engines 2: a hardlink to a file of a lower layer is another name of it") {
  Chain chain;
  chain.add(Tar().folder("usr/").file("usr/perl", "perl", "0004755").symlink("lib", "usr"))
      .add(Tar().file("between"))
      .add(Tar().hardlink("bin/perl5", "lib/perl").hardlink("bin/perl", "bin/perl5"));
  CHECK(in_overlay(chain.folders, [](const std::string& root) {
    return text_of(root + "bin/perl5") == "perl" && mode_of(root + "bin/perl5") == 04755 &&
           look(root + "bin/perl5").st_ino == look(root + "usr/perl").st_ino &&
           look(root + "bin/perl").st_ino == look(root + "usr/perl").st_ino;
  }));
  Chain moved;
  moved.add(Tar().file("old", "text")).add(Tar().hardlink("new", "old").file(".wh.old", ""));
  CHECK(in_overlay(moved.folders, [](const std::string& root) {
    return list(root) == Names{"new"} && text_of(root + "new") == "text";
  }));
  Place dangling;
  REQUIRE(dangling.unpack(Tar().hardlink("d", "nowhere")));
  dangling.mend(chain.folders);
  REQUIRE(dangling.failure);
  CHECK(dangling.failure->path == "d");
}

TEST_CASE("engines 3, B18: a whiteout of a name that its own layer has hides the lower one only") {
  Chain chain;
  chain.add(Tar().folder("dir/").file("dir/x", "old")).add(Tar().file("dir/x", "new").file("dir/.wh.x", ""));
  CHECK(in_overlay(chain.folders, [](const std::string& root) { return text_of(root + "dir/x") == "new"; }));
}

TEST_CASE("engines 4, B21: a folder deleted and filled again by one layer has only what is new") {
  Chain chain;
  chain.add(Tar().folder("dir/", "0000700").file("dir/old")).add(Tar().file(".wh.dir", "").file("dir/z"));
  CHECK(in_overlay(chain.folders, [](const std::string& root) {
    // The lower folder is gone, and with it its mode.
    return list(root + "dir") == Names{"z"} && mode_of(root + "dir") == 0755;
  }));
}

TEST_CASE("engines 5: a folder deleted, and then a whiteout in it, is an empty folder") {
  Chain chain;
  chain.add(Tar().folder("dir/").file("dir/x").file("dir/y")).add(Tar().file(".wh.dir", "").file("dir/.wh.x", ""));
  CHECK(in_overlay(chain.folders,
                   [](const std::string& root) { return there(root + "dir") && list(root + "dir").empty(); }));
}

TEST_CASE("engines 6: an entry through a link that a lower layer made replaces the link") {
  Chain chain;
  chain.add(Tar().folder("usr/").folder("usr/lib/").symlink("lib", "usr/lib")).add(Tar().file("lib/new"));
  CHECK(in_overlay(chain.folders, [](const std::string& root) {
    return S_ISDIR(look(root + "lib").st_mode) && list(root + "lib") == Names{"new"} && list(root + "usr/lib").empty();
  }));
}

TEST_CASE("B21, B22: whiteouts of what no lower layer has show nowhere, in the first layer as in any") {
  const Tar whiteouts = Tar().file(".wh.gone", "").folder("d/").file("d/.wh.gone", "").file("d/sub/.wh.x", "");
  Chain one;
  one.add(whiteouts);
  const auto clean = [](const std::string& root) {
    return list(root) == Names{"d"} && list(root + "d") == Names{"sub"} && list(root + "d/sub").empty();
  };
  CHECK(in_overlay(one.folders, clean));
  Chain second;
  second.add(Tar().folder("d/", "0000711")).add(whiteouts);
  CHECK(in_overlay(second.folders, clean));
}

TEST_CASE("B17, D39: a folder emptied by a marker alone is the same folder still; one below a deleted folder is new") {
  Chain chain;
  chain.add(private_folder().folder("a/").folder("a/b/", "0000700").folder("c/").folder("c/d/", "0000700"))
      .add(
          Tar().file("priv/.wh..wh..opq", "").file(".wh.a", "").file("a/b/x").file("c/.wh..wh..opq", "").file("c/d/x"));
  CHECK(in_overlay(chain.folders, [](const std::string& root) {
    return mode_of(root + "priv") == 0700 && look(root + "priv").st_uid == 7 && list(root + "priv").empty() &&
           mode_of(root + "a/b") == 0755 && mode_of(root + "c/d") == 0755 && list(root + "c/d") == Names{"x"};
  }));
}

TEST_CASE("C28: what replaces a thing of a lower layer replaces it whole, in every pair of types") {
  const auto put = [](const std::string& type) {
    Tar tar;
    if (type == "folder") tar.folder("n/").file("n/child");
    if (type == "file") tar.file("n", "text");
    if (type == "link") tar.symlink("n", "target");
    if (type == "fifo") tar.node("n", '6', 0, 0);
    return tar;
  };
  const Names types = {"folder", "file", "link", "fifo"};
  for (const std::string& lower : types) {
    for (const std::string& upper : types) {
      INFO(lower << " below " << upper);
      Chain chain;
      chain.add(put(lower).folder("target/").file("target/kept")).add(put(upper));
      CHECK(in_overlay(chain.folders, [&](const std::string& root) {
        const mode_t mode = look(root + "n").st_mode;
        const bool right = upper == "folder" ? S_ISDIR(mode) && list(root + "n") == Names{"child"}
                           : upper == "file" ? S_ISREG(mode) && text_of(root + "n") == "text"
                           : upper == "link" ? S_ISLNK(mode)
                                             : S_ISFIFO(mode);
        return right && there(root + "target/kept");
      }));
    }
  }
}

TEST_CASE("H70: a chain squashed shows what it showed before, and holds neither whiteouts nor marks") {
  Fields owned;
  owned.name = "own/suid";
  owned.mode = "0006755";
  owned.uid = octal(1000, 7);
  owned.gid = octal(2000, 7);
  const std::string capability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  Chain chain;
  chain.add(private_folder().folder("gone/").file("gone/x").file("a", "old").folder("deep/").file("deep/old"))
      .add(Tar()
               .add(owned, "suid")
               .file("lib/first", "one file")
               .hardlink("lib/second", "lib/first")
               .symlink("link", "../../etc/passwd")
               .hardlink("link2", "link")
               .node("null", '3', 1, 3)
               .node("fifo", '6', 0, 0)
               .pax({{"SCHILY.xattr.security.capability", capability}, {"SCHILY.xattr.user.x", "y"}})
               .file("cap")
               .pax({{"GNU.sparse.size", "50000000"}, {"GNU.sparse.map", "40000000,3"}, {"GNU.sparse.name", "sparse"}})
               .file("s", "mid"))
      .add(Tar().file(".wh.gone", "").file("a", "new").file("priv/b").file("deep/.wh..wh..opq", "").file("deep/new"));
  Place out;
  auto made = layer::squash({chain.folders, out.path("")});
  REQUIRE(made.ok());
  CHECK(out.names() == Names{"a", "cap", "deep/", "deep/new", "fifo", "lib/", "lib/first", "lib/second", "link",
                             "link2", "null", "own/", "own/suid", "priv/", "priv/a", "priv/b", "sparse"});
  CHECK(*made == out.names().size() + 1);
  CHECK(out.content("a") == "new");
  CHECK((out.status("priv")->st_mode & 07777) == 0700);
  CHECK(out.status("priv")->st_mtim.tv_sec == 1000);
  CHECK(out.xattr("priv", "user.kept") == "yes");
  CHECK((out.status("own/suid")->st_mode & 07777) == 06755);
  CHECK(out.status("own/suid")->st_gid == 2000);
  CHECK(out.status("own/suid")->st_mtim.tv_sec == 014000000000);
  CHECK(out.status("lib/first")->st_ino == out.status("lib/second")->st_ino);
  CHECK(out.link("link") == "../../etc/passwd");
  CHECK(out.status("link")->st_mtim.tv_sec == 014000000000);
  CHECK(out.status("link")->st_ino == out.status("link2")->st_ino);
  CHECK(out.status("null")->st_rdev == makedev(1, 3));
  CHECK(S_ISFIFO(out.status("fifo")->st_mode));
  CHECK(out.xattr("cap", "security.capability") == capability);
  CHECK(out.xattr("cap", "user.x") == "y");
  CHECK(out.status("sparse")->st_size == 50000000);
  CHECK(out.status("sparse")->st_blocks < 100);
  CHECK(!out.is_opaque("deep"));
  // The layers are as they were: a copy, no further name.
  CHECK(chain.layer(1).status("own/suid")->st_nlink == 1);
  CHECK(chain.layer(2).content("a") == "new");
}

TEST_CASE("H70: squashing takes few descriptors however deep and however many, and paths over PATH_MAX") {
  Chain chain;
  std::string path;
  for (int at = 0; at < 20; at++) path += std::string(250, static_cast<char>('a' + at)) + "/";
  for (int at = 0; at < 30; at++) {
    const std::string name = path + std::to_string(at);
    chain.add(
        Tar().pax({{"path", name}}).file("f", "x").pax({{"path", name + "b"}, {"linkpath", name}}).hardlink("g", "f"));
  }
  Place out;
  CHECK(in_child([&] {
          // Two layers' worth for 60 folders, 20 for the way down, and what the process has.
          const rlimit few = {256, 256};
          if (setrlimit(RLIMIT_NOFILE, &few) != 0) return 1;
          return layer::squash({chain.folders, out.path("")}).ok() ? 0 : 2;
        }) == 0);
  CHECK(out.names().size() == 20 + 60);
  CHECK(!layer::squash({chain.folders, out.path("")}).ok());  // no longer empty
}
