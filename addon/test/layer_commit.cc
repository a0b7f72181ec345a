// An upper folder as the layer that it is: what the kernel's overlay wrote, packed, and unpacked again, shows the same
// above the same layers. Run as root.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layer_support.h"

using namespace layer_test;

namespace {

std::string layer_after(const Chain& chain, const std::function<void(const std::string&)>& work) {
  return upper_after(chain.folders, work, [&](const std::string& upper) { return layer_of(upper, chain.folders); });
}

Tar image() {
  Tar tar;
  tar.folder("etc/").file("etc/passwd", "root").file("etc/group", "staff").folder("var/").folder("var/lib/");
  tar.file("var/lib/old").symlink("link", "etc/passwd").folder("app/").folder("app/sub/").file("app/sub/deep");
  tar.file("one").file("two").file("three");
  return tar;
}

}  // namespace

TEST_CASE("of an untouched overlay the layer says nothing; a changed root is told") {
  Chain chain;
  chain.add(image());
  CHECK(layer_after(chain, [](const std::string&) {})[0] == '=');
  CHECK(layer_after(chain, [](const std::string& root) { must(chmod(root.c_str(), 0700)); })[0] == '+');
  const auto mark = [](const std::string& root) { must(setxattr(root.c_str(), "user.a", "b", 1, 0)); };
  CHECK(layer_after(chain, mark)[0] == '+');
}

TEST_CASE("whiteouts, opaque folders, links, attributes, nodes and odd names come back as they were") {
  Chain chain;
  chain.add(image());
  const std::string told = layer_after(chain, [](const std::string& root) {
    const auto at = [&root](const std::string& name) { return root + name; };
    // Of one inode, as overlayfs makes them.
    for (const char* name : {"etc/group", "one", "two", "three"}) must(unlink(at(name).c_str()));
    must(unlink(at("app/sub/deep").c_str()));
    must(rmdir(at("app/sub").c_str()));
    must(mkdir(at("app/sub").c_str(), 0750));
    write_file(at("app/sub/other"), "above");
    write_file(at("three"), "made anew");
    write_file(at("new"), "content");
    must(link(at("new").c_str(), at("new too").c_str()));
    must(setxattr(at("new").c_str(), "user.a", "\0=\n", 3, 0));
    must(symlink("../../etc/passwd", at("soft").c_str()));
    must(mkfifo(at("pipe").c_str(), 0610));
    must(mknod(at("null").c_str(), S_IFCHR | 0620, makedev(1, 3)));
    write_file(at("line\nbreak"), "n");
    const sys::Fd sparse(open(at("sparse").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    must(pwrite(sparse.get(), "end", 3, 5000000) == 3 ? 0 : 1);
  });
  REQUIRE(told[0] == '+');
  Place place;
  REQUIRE(place.unpack(told.substr(1)));
  for (const char* name : {"etc/group", "one", "two"}) {
    CAPTURE(name);
    CHECK(place.is_whiteout(name));
  }
  CHECK(place.content("three") == "made anew");
  CHECK(place.is_opaque("app/sub"));
  CHECK(place.content("app/sub/other") == "above");
  CHECK_FALSE(place.exists("app/sub/deep"));
  CHECK((place.status("app/sub")->st_mode & 07777) == 0750);
  CHECK(place.content("new") == "content");
  CHECK(place.status("new")->st_ino == place.status("new too")->st_ino);
  CHECK(place.xattr("new", "user.a") == std::string("\0=\n", 3));
  CHECK(place.link("soft") == "../../etc/passwd");
  CHECK(S_ISFIFO(place.status("pipe")->st_mode));
  CHECK(place.status("null")->st_rdev == makedev(1, 3));
  CHECK(place.content("line\nbreak") == "n");
  CHECK(place.status("sparse")->st_size == 5000003);
  // Not there: what was not touched.
  CHECK_FALSE(place.exists("etc/passwd"));
  CHECK_FALSE(place.exists("var"));
}

TEST_CASE("places of a start's mounts are left out; with something in them they are there") {
  Chain chain;
  chain.add(Tar().folder("sys/").folder("tmp/").file("etc"));
  const std::string told = layer_after(chain, [](const std::string& root) {
    for (const char* name : {"dev", "proc"}) must(mkdir((root + name).c_str(), 0755));
    for (const char* name : {"dev/pts", "dev/shm"}) must(mkdir((root + name).c_str(), 0755));
    write_file(root + "dev/console", "");
  });
  CHECK(told[0] == '=');
  // Also where the image has them, and they only changed because of what was put into them.
  CHECK(layer_after(chain, [](const std::string& root) {
          must(mkdir((root + "sys/x").c_str(), 0755) + rmdir((root + "sys/x").c_str()));
        })[0] == '=');
  CHECK(layer_after(chain, [](const std::string& root) { must(chmod((root + "sys").c_str(), 0700)); })[0] == '+');
  const std::string more = layer_after(chain, [](const std::string& root) {
    for (const char* name : {"dev", "proc"}) must(mkdir((root + name).c_str(), 0700));
    must(mkdir((root + "dev/shm").c_str(), 0755));
    write_file(root + "dev/shm/mine", "m");
    must(unlink((root + "etc").c_str()));
    must(mkdir((root + "etc").c_str(), 0755));
    write_file(root + "etc/hosts", "");
    write_file(root + "etc/hostname", "a name of its own");
  });
  Place place;
  REQUIRE(place.unpack(more.substr(1)));
  const std::vector<std::string> names = {"dev/", "dev/shm/", "dev/shm/mine", "etc/", "etc/hostname"};
  CHECK(place.names() == names);
  CHECK((place.status("dev")->st_mode & 07777) == 0700);
}

TEST_CASE("a name that every reader would take for a whiteout is an error, not a loss") {
  Chain chain;
  chain.add(image());
  for (const char* name : {"etc/.wh.passwd", ".wh..wh..opq", ".wh."}) {
    const std::string told =
        layer_after(chain, [name](const std::string& root) { write_file(root + name, "not a mark"); });
    CHECK(told == std::string("!") + name + ": no layer can carry a name that begins with .wh.: rename or remove it");
  }
}
