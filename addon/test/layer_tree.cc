// What ends up in the folder: names, replacement, attributes, types. Run as root.
#include <sys/sysmacros.h>

#include "layer_support.h"

using namespace layer_test;

namespace {

// A capability as VFS_CAP_REVISION_2: cap_net_raw, effective.
const std::string kCapability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);

}  // namespace

TEST_CASE("names are made clean, whatever way they are written") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .folder("./")
                           .file("./a")
                           .file("/b")
                           .file("c/./../d//e")
                           .file("../../f")
                           .folder("g/")
                           .file("-rf")
                           .file("new\nline")
                           .file("co:lon")
                           .file("back\\slash")));
  CHECK(place.names() ==
        std::vector<std::string>{"-rf", "a", "b", "back\\slash", "co:lon", "d/", "d/e", "f", "g/", "new\nline"});
  CHECK(place.result->implicit == std::vector<std::string>{"d"});
  CHECK(place.result->entries == 10);
  CHECK(place.untouched());
}

TEST_CASE("bytes that are no UTF-8 stay as they are") {
  Place place;
  REQUIRE(place.unpack(Tar().file("caf\xe9").file("\xff\xfe/x")));
  CHECK(place.exists("caf\xe9"));
  CHECK(place.result->implicit == std::vector<std::string>{".", "\xff\xfe"});
}

TEST_CASE("the root's own entry gives it attributes; without one it is implicit") {
  Place place;
  Fields root;
  root.name = "./";
  root.flag = '5';
  root.mode = "0001710";
  root.uid = octal(7, 7);
  REQUIRE(place.unpack(Tar().add(root).file("f")));
  CHECK((place.status("")->st_mode & 07777) == 01710);
  CHECK(place.status("")->st_uid == 7);
  CHECK(place.status("")->st_mtim.tv_sec == 014000000000);
  CHECK(place.result->implicit.empty());
  Place other;
  REQUIRE(other.unpack(Tar().file("f")));
  CHECK((other.status("")->st_mode & 07777) == 0755);
  CHECK(other.result->implicit == std::vector<std::string>{"."});
}

TEST_CASE("nothing but a folder can be the root (CVE-2021-29136)") {
  for (const char* name : {".", "./", "/", "", "..", "a/.."}) {
    for (const char flag : {'2', '0', '1', '6', '3'}) {
      Place place;
      Fields fields;
      fields.name = name;
      fields.flag = flag;
      fields.link = "/etc";
      // A V7 file whose name ends in a slash is a folder.
      if (flag == '0' && std::string(name).ends_with('/')) continue;
      CHECK_MESSAGE(!place.unpack(Tar().add(fields).file("f")), name, flag);
      CHECK(place.is_folder(""));
      CHECK(place.untouched());
    }
  }
}

TEST_CASE("a component over 255 bytes is an error that names it; a path over 4096 bytes works") {
  Place place;
  CHECK(!place.unpack(Tar().pax({{"path", "d/" + std::string(256, 'n')}}).file("f")));
  CHECK(place.failure->err == ENAMETOOLONG);
  CHECK(place.failure->path.find("d/nnn") == 0);
  Place deep;
  std::string path;
  for (int at = 0; at < 20; at++) path += std::string(250, static_cast<char>('a' + at)) + "/";
  REQUIRE(deep.unpack(Tar()
                          .pax({{"path", path + "f"}})
                          .file("f")
                          .pax({{"path", path + "g"}, {"linkpath", path + "f"}})
                          .hardlink("g", "f")));
  CHECK(deep.result->implicit.size() == 21);
  CHECK(deep.result->lower_links.empty());
}

TEST_CASE("nesting has a limit") {
  Place place;
  std::string path;
  for (int at = 0; at < 4096; at++) path += "d/";
  CHECK(!place.unpack(Tar().pax({{"path", path}}).folder("d/")));
  CHECK(place.failure->step == "limit depth");
}

TEST_CASE("parents that are links of this layer are resolved inside the root") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .folder("real/")
                           .symlink("relative", "real")
                           .symlink("absolute", "/real")
                           .symlink("chain", "absolute/")
                           .symlink("up", "../../../real")
                           .symlink("dangling", "made/here")
                           .file("relative/1")
                           .file("absolute/2")
                           .file("chain/3")
                           .file("up/4")
                           .file("dangling/5")
                           .folder("chain/sub/", "0000700")));
  for (const char* name : {"1", "2", "3", "4"}) CHECK_MESSAGE(place.exists(std::string("real/") + name), name);
  CHECK(place.exists("made/here/5"));
  CHECK(place.link("dangling") == "made/here");
  CHECK((place.status("real/sub")->st_mode & 07777) == 0700);
  CHECK(place.result->implicit == std::vector<std::string>{".", "made", "made/here"});
  Place loop;
  CHECK(!loop.unpack(Tar().symlink("a", "b").symlink("b", "a").file("a/f")));
  CHECK(loop.failure->err == ELOOP);
}

TEST_CASE("a parent that is no folder is replaced by one, but a link to a file does not cost the file") {
  Place place;
  REQUIRE(place.unpack(Tar().file("a").file("a/b").node("p", '6', 0, 0).file("p/q")));
  CHECK(place.exists("a/b"));
  CHECK(place.is_opaque("a"));
  CHECK(place.exists("p/q"));
  Place link;
  CHECK(!link.unpack(Tar().file("file", "keep").symlink("link", "file").file("link/x")));
  CHECK(link.failure->err == ENOTDIR);
  CHECK(link.content("file") == "keep");
}

TEST_CASE("of two entries with one name the last wins, in every pair of types") {
  const auto put = [](Tar& tar, const std::string& type) {
    if (type == "folder") tar.folder("n/").file("n/child");
    if (type == "file") tar.file("n", "new");
    if (type == "link") tar.symlink("n", "target");
    if (type == "fifo") tar.node("n", '6', 0, 0);
    if (type == "hardlink") tar.hardlink("n", "source");
  };
  const std::vector<std::string> types = {"folder", "file", "link", "fifo", "hardlink"};
  for (const std::string& first : types) {
    for (const std::string& second : types) {
      INFO(first << " then " << second);
      Place place;
      Tar tar;
      tar.folder("target/").file("target/kept").file("source", "linked");
      put(tar, first);
      put(tar, second);
      REQUIRE(place.unpack(tar));
      const auto status = place.status("n");
      REQUIRE(status);
      if (second == "folder") {
        CHECK(place.exists("n/child"));
        CHECK(place.is_opaque("n") == (first != "folder"));
      }
      if (second == "file") CHECK(place.content("n") == "new");
      if (second == "link") CHECK(place.link("n") == "target");
      if (second == "fifo") CHECK(S_ISFIFO(status->st_mode));
      if (second == "hardlink") CHECK(status->st_ino == place.status("source")->st_ino);
      CHECK(place.content("source") == "linked");
      CHECK(place.exists("target/kept"));
    }
  }
}

TEST_CASE("a folder over a folder keeps the children and takes the attributes, all of them") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .pax({{"SCHILY.xattr.user.old", "1"}})
                           .folder("d/", "0000700")
                           .file("d/f")
                           .pax({{"SCHILY.xattr.user.new", "2"}})
                           .folder("d/", "0000750")));
  CHECK(place.exists("d/f"));
  CHECK((place.status("d")->st_mode & 07777) == 0750);
  CHECK(place.status("d")->st_mtim.tv_sec == 014000000000);
  CHECK(!place.xattr("d", "user.old"));
  CHECK(place.xattr("d", "user.new") == "2");
  CHECK(!place.is_opaque("d"));
}

TEST_CASE("replacing one name of a file leaves its other names alone") {
  Place place;
  REQUIRE(place.unpack(Tar().file("a", "first").hardlink("b", "a").file("a", "second")));
  CHECK(place.content("a") == "second");
  CHECK(place.content("b") == "first");
}

TEST_CASE("a replaced folder is removed whole, however deep, and never through a link") {
  Place place;
  std::string deep = "n";
  Tar tar;
  for (int at = 0; at < 900; at++) deep += "/d";
  REQUIRE(
      place.unpack(tar.pax({{"path", deep + "/f"}}).file("f").symlink("n/out", place.outside("")).file("n", "file")));
  CHECK(place.content("n") == "file");
  CHECK(place.untouched());
}

TEST_CASE("hardlinks: to links, backwards, to later names, to lower layers, and what can't be one") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .symlink("link", "nowhere")
                           .hardlink("link2", "link")
                           .hardlink("early2", "early1")
                           .hardlink("early1", "late")
                           .file("late", "late")
                           .hardlink("late", "late")
                           .hardlink("d/gone", "/usr/bin/perl")
                           .hardlink("d/taken", "usr/bin/perl")
                           .file("d/taken", "taken")));
  CHECK(place.link("link2") == "nowhere");
  CHECK(place.status("link2")->st_ino == place.status("link")->st_ino);
  CHECK(place.status("early2")->st_ino == place.status("late")->st_ino);
  CHECK(place.status("early1")->st_nlink == 3);
  REQUIRE(place.result->lower_links.size() == 1);
  CHECK(place.result->lower_links[0].path == "d/gone");
  CHECK(place.result->lower_links[0].target == "usr/bin/perl");
  CHECK(place.content("d/taken") == "taken");
  CHECK(!place.exists("usr"));
  for (const Tar& tar : {Tar().folder("d/").hardlink("l", "d"), Tar().hardlink("l", "l"), Tar().hardlink("l", "/"),
                         Tar().hardlink("l", ".wh.x")}) {
    Place bad;
    CHECK(!bad.unpack(tar));
    CHECK(bad.failure->path == "l");
  }
}

TEST_CASE("owner, set-user-ID bits, capabilities and times all survive each other") {
  Place place;
  Fields file;
  file.name = "f";
  file.mode = "0006755";
  file.uid = octal(1000, 7);
  file.gid = octal(2000, 7);
  Fields folder = file;
  folder.name = "d/";
  folder.flag = '5';
  folder.mode = "0003777";
  REQUIRE(place.unpack(Tar()
                           .pax({{"SCHILY.xattr.security.capability", kCapability},
                                 {"mtime", "1234567890.123456789"},
                                 {"SCHILY.xattr.user.x", "y"}})
                           .add(file, "data")
                           .pax({{"mtime", "1000.5"}, {"atime", "2000"}})
                           .add(folder)
                           .file("d/child")
                           .pax({{"mtime", "-3"}})
                           .symlink("old", "f")
                           .pax({{"mtime", "99999999999999"}})
                           .file("far")));
  const auto status = place.status("f");
  CHECK((status->st_mode & 07777) == 06755);
  CHECK(status->st_uid == 1000);
  CHECK(status->st_gid == 2000);
  CHECK(status->st_mtim.tv_sec == 1234567890);
  CHECK(status->st_mtim.tv_nsec == 123456789);
  CHECK(status->st_atim.tv_sec == 1234567890);
  CHECK(place.xattr("f", "security.capability") == kCapability);
  CHECK(place.xattr("f", "user.x") == "y");
  CHECK((place.status("d")->st_mode & 07777) == 03777);
  CHECK(place.status("d")->st_mtim.tv_sec == 1000);
  CHECK(place.status("d")->st_atim.tv_sec == 2000);
  CHECK((place.status("d/child")->st_mode & 07777) == 0644);
  CHECK(place.status("d/child")->st_gid == 0);
  CHECK(place.status("old")->st_mtim.tv_sec == 0);
  CHECK(place.status("far")->st_mtim.tv_sec == 0);
}

TEST_CASE("modes mean what they say, whatever the umask, down to 0") {
  Place place;
  const mode_t former = umask(077);
  REQUIRE(place.unpack(Tar()
                           .file("zero", "x", "0000000")
                           .folder("closed/", "0000000")
                           .file("closed/in")
                           .file("all", "x", "0000777")
                           .node("fifo", '6', 0, 0)));
  CHECK(umask(former) == 077);
  CHECK((place.status("zero")->st_mode & 07777) == 0);
  CHECK((place.status("closed")->st_mode & 07777) == 0);
  CHECK(place.exists("closed/in"));
  CHECK((place.status("all")->st_mode & 07777) == 0777);
  CHECK((place.status("fifo")->st_mode & 07777) == 0644);
}

TEST_CASE("links keep owner, time and target; devices their numbers") {
  Place place;
  Fields link;
  link.name = "l";
  link.flag = '2';
  link.link = "../../../etc/passwd";
  link.uid = octal(5, 7);
  REQUIRE(place.unpack(Tar()
                           .add(link)
                           .symlink("abs", "/etc/passwd")
                           .symlink("long", std::string(4000, 't'))
                           .node("null", '3', 1, 3)
                           .node("loop", '4', 7, 255)
                           .node("big", '3', 4095, 1048575)));
  CHECK(place.link("l") == "../../../etc/passwd");
  CHECK(place.status("l")->st_uid == 5);
  CHECK(place.status("l")->st_mtim.tv_sec == 014000000000);
  CHECK(place.link("abs") == "/etc/passwd");
  CHECK(place.link("long") == std::string(4000, 't'));
  CHECK(place.status("null")->st_rdev == makedev(1, 3));
  CHECK(S_ISBLK(place.status("loop")->st_mode));
  CHECK(place.status("big")->st_rdev == makedev(4095, 1048575));
  for (const Tar& tar :
       {Tar().symlink("l", ""), Tar().symlink("l", std::string(4097, 't')), Tar().node("l", '3', 0, 0)}) {
    Place bad;
    CHECK(!bad.unpack(tar));
    CHECK(bad.failure->path == "l");
    CHECK(!bad.exists("l"));
  }
}

TEST_CASE("attributes: overlayfs's, trusted ones and labels are never set; what can't be is said") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .pax({{"SCHILY.xattr.trusted.overlay.redirect", "/../../etc"},
                                 {"SCHILY.xattr.trusted.overlay.overlay.opaque", "y"},
                                 {"SCHILY.xattr.trusted.mine", "x"},
                                 {"SCHILY.xattr.user.overlay.opaque", "y"},
                                 {"SCHILY.xattr.security.selinux", "label"},
                                 {"RHT.security.selinux", "label"},
                                 {"LIBARCHIVE.xattr.trusted.overlay.opaque", "eQ"},
                                 {"SCHILY.xattr.user.fine", "1"}})
                           .folder("d/")
                           .pax({{"SCHILY.xattr.user.on.link", "1"}})
                           .symlink("l", "d")));
  for (const char* name : {"trusted.overlay.redirect", "trusted.overlay.overlay.opaque", "trusted.overlay.opaque",
                           "trusted.mine", "user.overlay.opaque", "security.selinux"}) {
    CHECK_MESSAGE(!place.xattr("d", name), name);
  }
  CHECK(place.xattr("d", "user.fine") == "1");
  REQUIRE(place.result->warnings.size() == 1);
  CHECK(place.result->warnings[0].find("user.on.link") != std::string::npos);
}

TEST_CASE("a folder's default ACL is kept, and not inherited by what the archive puts into it") {
  // Version 2, then tag, permissions, id of USER_OBJ rwx, USER 1000 rwx, GROUP_OBJ r-x, MASK rwx, OTHER r-x.
  std::string acl{2, 0, 0, 0};
  const auto ace = [&acl](char tag, char permissions, int32_t id) {
    for (const int value : {tag | permissions << 16, id}) {
      for (int shift = 0; shift < 32; shift += 8) acl += static_cast<char>(value >> shift & 0xff);
    }
  };
  ace(1, 7, -1);
  ace(2, 7, 1000);
  ace(4, 5, -1);
  ace(16, 7, -1);
  ace(32, 5, -1);
  Place place;
  REQUIRE(place.unpack(
      Tar().pax({{"SCHILY.xattr.system.posix_acl_default", acl}}).folder("d/").file("d/f").folder("d/sub/")));
  if (!place.result->warnings.empty()) {
    MESSAGE("no ACLs on the file system of the temporary folder");
    return;
  }
  CHECK(place.xattr("d", "system.posix_acl_default") == acl);
  CHECK(!place.xattr("d/f", "system.posix_acl_access"));
  CHECK(!place.xattr("d/sub", "system.posix_acl_default"));
  CHECK((place.status("d/f")->st_mode & 07777) == 0644);
}

TEST_CASE("sparse files keep their holes") {
  Place place;
  REQUIRE(place.unpack(
      Tar()
          .pax({{"GNU.sparse.size", "100000000"}, {"GNU.sparse.map", "50000000,3"}, {"GNU.sparse.name", "s"}})
          .file("x", "mid")));
  CHECK(place.status("s")->st_size == 100000000);
  CHECK(place.status("s")->st_blocks < 100);
  CHECK(place.content("s")->substr(50000000, 3) == "mid");
}
