// Names, owners, attributes and types that archives have in more ways than one. Run as root.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layer_support.h"

using namespace layer_test;

namespace {

// Version 2, then tag, permissions, id of each.
std::string acl(mode_t user, mode_t named, mode_t group, mode_t mask, mode_t other) {
  std::string bytes{2, 0, 0, 0};
  const auto ace = [&bytes](int tag, mode_t permissions, int32_t id) {
    for (const int value : {tag | static_cast<int>(permissions) << 16, id}) {
      for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift & 0xff);
    }
  };
  ace(1, user, -1);
  ace(2, named, 1000);
  ace(4, group, -1);
  ace(16, mask, -1);
  ace(32, other, -1);
  return bytes;
}

Fields of_type(const std::string& name, char flag) {
  Fields fields;
  fields.name = name;
  fields.flag = flag;
  fields.uid = octal(5, 7);
  fields.gid = octal(6, 7);
  return fields;
}

}  // namespace

TEST_CASE("A1: the root's entry gives it extended attributes too") {
  Place place;
  REQUIRE(place.unpack(Tar().pax({{"SCHILY.xattr.user.x", "y"}, {"mtime", "7.5"}}).folder("./")));
  CHECK(place.xattr("", "user.x") == "y");
  CHECK(place.status("")->st_mtim.tv_nsec == 500000000);
}

TEST_CASE("A12: names that differ in case or in Unicode's normal form are different names") {
  Place place;
  REQUIRE(place.unpack(Tar().file("name", "1").file("NAME", "2").file("caf\xc3\xa9", "3").file("cafe\xcc\x81", "4")));
  CHECK(place.names().size() == 4);
  CHECK(place.content("name") == "1");
  CHECK(place.content("caf\xc3\xa9") == "3");
}

TEST_CASE("D33, D34: links, devices and fifos get owner and times, and nothing reaches what a link points to") {
  Place place;
  Fields link = of_type("link", '2');
  link.link = "file";
  link.mode = "0000000";
  Fields device = of_type("null", '3');
  device.major = octal(1, 7);
  device.minor = octal(3, 7);
  device.mode = "0000620";
  REQUIRE(place.unpack(Tar().file("file", "x", "0000640").add(link).add(of_type("fifo", '6')).add(device)));
  for (const char* name : {"link", "fifo", "null"}) {
    INFO(name);
    CHECK(place.status(name)->st_uid == 5);
    CHECK(place.status(name)->st_gid == 6);
    CHECK(place.status(name)->st_mtim.tv_sec == 014000000000);
  }
  CHECK((place.status("null")->st_mode & 07777) == 0620);
  CHECK((place.status("file")->st_mode & 07777) == 0640);
  CHECK(place.status("file")->st_uid == 0);
}

TEST_CASE("D35: times of folders are set last, deepest first, and not on what has taken a folder's name") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .folder("a/")
                           .folder("a/b/")
                           .folder("gone/")
                           .folder("swapped/")
                           .file("target", "x")
                           .pax({{"mtime", "50"}})
                           .symlink("swapped", "target")
                           .file("gone")
                           .file("a/b/late")
                           .file("a/late")));
  CHECK(place.status("a")->st_mtim.tv_sec == 014000000000);
  CHECK(place.status("a/b")->st_mtim.tv_sec == 014000000000);
  CHECK(place.status("swapped")->st_mtim.tv_sec == 50);
}

TEST_CASE("D36, F58: a hardlink's own attributes are not applied: it is another name, and no more") {
  Place place;
  Fields link = of_type("b", '1');
  link.link = "a";
  link.mode = "0004777";
  link.mtime = octal(99, 11);
  REQUIRE(place.unpack(
      Tar().file("a", "x", "0000640").pax({{"SCHILY.xattr.user.x", "y"}, {"mtime", "98"}}).add(link).file("c")));
  CHECK(place.status("b")->st_ino == place.status("a")->st_ino);
  CHECK((place.status("a")->st_mode & 07777) == 0640);
  CHECK(place.status("a")->st_uid == 0);
  CHECK(place.status("a")->st_mtim.tv_sec == 014000000000);
  CHECK(!place.xattr("a", "user.x"));
}

TEST_CASE("D37: no access time is the modification time; what 64 bits of nanoseconds can't hold is 1970") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .pax({{"mtime", "100"}, {"atime", "50"}})
                           .file("older")
                           .pax({{"mtime", "9223372036"}})
                           .file("far")
                           .pax({{"mtime", "9223372035"}})
                           .file("last")
                           .pax({{"mtime", "0"}})
                           .file("zero")));
  CHECK(place.status("older")->st_atim.tv_sec == 100);
  CHECK(place.status("far")->st_mtim.tv_sec == 0);
  CHECK(place.status("zero")->st_mtim.tv_sec == 0);
  CHECK(place.status("zero")->st_atim.tv_sec == 0);
}

TEST_CASE("D38: owners are numbers, whatever names stand beside them, up to the largest there is") {
  Place place;
  Fields named = of_type("named", '0');
  named.patches = {{265, "daemon"}, {297, "nogroup"}};
  Fields large = of_type("large", '0');
  large.uid = base256(4294967294, 8);
  large.gid = base256(2097152, 8);
  REQUIRE(place.unpack(Tar().add(named).add(large).pax({{"uid", "4294967293"}, {"gid", "0"}}).file("pax")));
  CHECK(place.status("named")->st_uid == 5);
  CHECK(place.status("large")->st_uid == 4294967294);
  CHECK(place.status("large")->st_gid == 2097152);
  CHECK(place.status("pax")->st_uid == 4294967293);
}

TEST_CASE("D41, E47: type bits in the mode say nothing: a file marked as a socket is a file") {
  Place place;
  Fields socket = of_type("s", '0');
  socket.mode = "0140755";
  REQUIRE(place.unpack(Tar().add(socket, "data")));
  CHECK(place.content("s") == "data");
  CHECK((place.status("s")->st_mode & 07777) == 0755);
}

TEST_CASE("E43: a folder's size is no data, as in Go") {
  Place place;
  Fields folder = of_type("d/", '5');
  folder.size = 4096;
  REQUIRE(place.unpack(Tar().add(folder).file("d/f")));
  CHECK(place.content("d/f") == "x");
}

TEST_CASE("E49: Solaris's extended header is one; types of other systems' backups are refused") {
  Place place;
  REQUIRE(place.unpack(Tar().pax({{"path", "long"}}, 'X').file("short")));
  CHECK(place.content("long") == "x");
  for (const char flag : {'A', 'I', 'N', 'M', 's'}) {
    Place other;
    CHECK(!other.unpack(Tar().add(of_type("f", flag))));
    CHECK(other.failure->path == "f");
  }
}

TEST_CASE("E51: zeros of an ordinary file are written as they came") {
  Place place;
  const std::string zeros(100000, '\0');
  REQUIRE(place.unpack(Tar().file("z", zeros + "end")));
  CHECK(place.content("z") == zeros + "end");
}

TEST_CASE("F53: a capability bound to another user namespace is kept as such") {
  // VFS_CAP_REVISION_3: as revision 2, and the id of root in the namespace it is for.
  const std::string capability("\1\0\0\3\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe8\3\0\0", 24);
  Place place;
  REQUIRE(place.unpack(Tar().pax({{"SCHILY.xattr.security.capability", capability}}).file("f")));
  CHECK(place.xattr("f", "security.capability") == capability);
}

TEST_CASE("F55: an access ACL and the mode agree, the mode coming last") {
  const std::string wanted = acl(7, 7, 5, 7, 0);
  Place place;
  REQUIRE(place.unpack(Tar()
                           .pax({{"SCHILY.xattr.system.posix_acl_access", wanted}})
                           .file("f", "x", "0000770")
                           .pax({{"SCHILY.xattr.system.posix_acl_access", wanted}})
                           .folder("d/", "0000770")));
  if (!place.result->warnings.empty()) {
    MESSAGE("no ACLs on the file system of the temporary folder");
    return;
  }
  for (const char* name : {"f", "d"}) {
    CHECK(place.xattr(name, "system.posix_acl_access") == wanted);
    CHECK((place.status(name)->st_mode & 07777) == 0770);
  }
}

TEST_CASE("F57: a file system without attributes costs a warning for each kind, once") {
  Place place;
  CHECK(in_child([&] {
          if (!own_mounts() || mount("ramfs", "/mnt", "ramfs", 0, nullptr) != 0) return 1;
          place.request.layer_dir = "/mnt";
          const Records x = {{"SCHILY.xattr.user.x", "y"}};
          if (!place.unpack(Tar().pax(x).file("f").pax(x).file("f").pax(x).folder("d/"))) return 2;
          return place.result->warnings.size() == 2 && access("/mnt/f", F_OK) == 0 ? 0 : 3;
        }) == 0);
}

TEST_CASE("F60: attributes that the file system has no room for are an error that names them") {
  Place place;
  CHECK(!place.unpack(Tar().pax({{"SCHILY.xattr.user.large", std::string(70000, 'x')}}).file("f")));
  CHECK(place.failure->path == "f");
  CHECK(place.failure->message.find("user.large") != std::string::npos);
  CHECK((place.failure->err == E2BIG || place.failure->err == ENOSPC || place.failure->err == ERANGE));
}
