// Whiteouts in overlayfs's form (OCI image spec 1.1, layer.md). Run as root.
#include <unistd.h>

#include "layer_support.h"

using namespace layer_test;

namespace {

bool there(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

}  // namespace

TEST_CASE("a whiteout becomes a character device 0:0 in a folder that exists for it") {
  Place place;
  REQUIRE(place.unpack(Tar().file(".wh.top", "").folder("d/").file("d/.wh.gone", "").file("implied/deep/.wh.x", "")));
  CHECK(place.is_whiteout("top"));
  CHECK(place.is_whiteout("d/gone"));
  CHECK(place.is_whiteout("implied/deep/x"));
  CHECK(place.result->whiteouts == std::vector<std::string>{"top", "d/gone", "implied/deep/x"});
  CHECK(place.result->implicit == std::vector<std::string>{".", "implied", "implied/deep"});
  CHECK(place.names() ==
        std::vector<std::string>{"d/", "d/gone", "implied/", "implied/deep/", "implied/deep/x", "top"});
}

TEST_CASE("whatever the type of its entry, the name makes the whiteout") {
  Place place;
  REQUIRE(
      place.unpack(Tar().folder(".wh.a/").symlink(".wh.b", "/etc").hardlink(".wh.c", "x").node(".wh.d", '6', 0, 0)));
  for (const char* name : {"a", "b", "c", "d"}) CHECK_MESSAGE(place.is_whiteout(name), name);
}

TEST_CASE("an opaque marker may stand before or after what is new in the folder, which stays") {
  for (const bool first : {true, false}) {
    Place place;
    Tar tar;
    tar.folder("d/", "0000700");
    if (first) tar.file("d/.wh..wh..opq", "");
    tar.file("d/new").file("d/sub/new");
    if (!first) tar.file("d/.wh..wh..opq", "");
    REQUIRE(place.unpack(tar));
    CHECK(place.is_opaque("d"));
    CHECK(place.exists("d/new"));
    CHECK(place.exists("d/sub/new"));
    CHECK((place.status("d")->st_mode & 07777) == 0700);
    CHECK(place.status("d")->st_mtim.tv_sec == 014000000000);
  }
}

TEST_CASE("an opaque marker in a folder without an entry makes it, with attributes still to come from below") {
  Place place;
  REQUIRE(place.unpack(Tar().file("d/.wh..wh..opq", "")));
  CHECK(place.is_opaque("d"));
  CHECK(place.result->implicit == std::vector<std::string>{".", "d"});
  CHECK(place.result->whiteouts.empty());
}

TEST_CASE("a whiteout hits lower layers only: what this layer has stays, before and after it") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .file("before")
                           .file(".wh.before", "")
                           .file(".wh.after", "")
                           .file("after")
                           .symlink("l", "x")
                           .file(".wh.l", "")));
  CHECK(place.content("before") == "x");
  CHECK(place.content("after") == "x");
  CHECK(place.link("l") == "x");
  CHECK(place.result->whiteouts.empty());
}

TEST_CASE("a whiteout of a folder that this layer has makes it opaque, in either order and with no entry of its own") {
  Place place;
  REQUIRE(place.unpack(
      Tar().file(".wh.a", "").folder("a/").file("a/z").folder("b/").file(".wh.b", "").file(".wh.c", "").file("c/z")));
  for (const char* name : {"a", "b", "c"}) CHECK_MESSAGE(place.is_opaque(name), name);
  CHECK(place.exists("a/z"));
  CHECK(place.exists("c/z"));
  // c is new, and takes nothing from the folder that was deleted.
  CHECK(place.result->implicit == std::vector<std::string>{"."});
}

TEST_CASE("a deleted folder with a whiteout in it is an empty new one") {
  Place place;
  REQUIRE(place.unpack(Tar().file(".wh.dir", "").file("dir/.wh.x", "")));
  CHECK(place.is_opaque("dir"));
  CHECK(place.names() == std::vector<std::string>{"dir/"});
  CHECK(place.result->whiteouts.empty());
}

TEST_CASE("plain whiteouts in an opaque folder, or below one, are dropped: overlayfs would show them") {
  Place place;
  REQUIRE(place.unpack(
      Tar().file("d/.wh.x", "").folder("d/").file("d/sub/.wh.y", "").file("d/.wh..wh..opq", "").file("d/.wh.z", "")));
  CHECK(place.names() == std::vector<std::string>{"d/", "d/sub/"});
  CHECK(place.result->whiteouts.empty());
}

TEST_CASE("a name whited out twice, and a folder replaced after its whiteouts were seen") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .file(".wh.a", "")
                           .file(".wh.a", "")
                           .file("d/.wh.x", "")
                           .file("d")
                           .folder("e/")
                           .file("e/.wh..wh..opq", "")
                           .file("e")
                           .folder("e/")));
  CHECK(place.result->whiteouts == std::vector<std::string>{"a"});
  CHECK(place.content("d") == "x");
  CHECK(place.is_opaque("e"));
}

TEST_CASE("whiteouts through a link of this layer land inside the root") {
  Place place;
  REQUIRE(place.unpack(Tar()
                           .folder("real/")
                           .symlink("l", "/real")
                           .file("l/.wh.x", "")
                           .symlink("m", "../../../..")
                           .file("m/.wh.y", "")
                           .symlink("n", "real")
                           .file("n/.wh..wh..opq", "")));
  CHECK(place.is_opaque("real"));
  CHECK(place.is_whiteout("y"));
  CHECK(place.result->whiteouts == std::vector<std::string>{"y"});
  CHECK(place.untouched());
}

TEST_CASE("whiteouts of nothing, of dots, in the middle of a name, and AUFS's own") {
  for (const char* name : {".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh...", ".wh.d/x", ".wh..wh..opq/x", ".wh..wh.foo",
                           ".wh..wh.plnk/5.7"}) {
    Place place;
    CHECK_MESSAGE(!place.unpack(Tar().folder("d/").file(name, "")), name);
    CHECK(place.failure->path == name);
    CHECK(place.untouched());
  }
  Place place;
  REQUIRE(place.unpack(
      Tar().file(".wh..wh.aufs", "").folder(".wh..wh.orph/").file(".wh..wh.orph/x").folder(".wh..wh.plnk/").file("f")));
  CHECK(place.names() == std::vector<std::string>{"f"});
}

TEST_CASE("in a user namespace's form the attributes are user.*") {
  Place place;
  place.request.userxattr = true;
  REQUIRE(place.unpack(Tar().file("d/.wh..wh..opq", "")));
  CHECK(place.xattr("d", "user.overlay.opaque") == "y");
  CHECK(!place.xattr("d", "trusted.overlay.opaque"));
}

TEST_CASE("mounted, the layers show what the specification says") {
  Place lower;
  REQUIRE(lower.unpack(Tar().file("a").file("dir/x").file("dir/y").file("opaque/x").file("kept").file("file/below")));
  Place upper;
  REQUIRE(upper.unpack(Tar()
                           .file(".wh.a", "")
                           .file("dir/.wh.x", "")
                           .file("opaque/.wh..wh..opq", "")
                           .file("opaque/new")
                           .file("file")
                           .folder("file/")));
  CHECK(in_overlay({upper.path(""), lower.path("")}, [](const std::string& root) {
    return !there(root + "a") && !there(root + "dir/x") && there(root + "dir/y") && !there(root + "opaque/x") &&
           there(root + "opaque/new") && there(root + "kept") && there(root + "file") && !there(root + "file/below");
  }));
}
