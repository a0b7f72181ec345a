// What comparing two unpacked layers finds, one change at a time; and a stream freed of its compression.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>

#include <functional>

#include "layer/compare.h"
#include "layer/inflate_all.h"
#include "layer_support.h"

using namespace layer_test;

namespace {

Tar layer_of_everything() {
  Tar tar;
  tar.folder("a", "0000700").file("a/file", "some bytes").hardlink("a/twin", "a/file").symlink("a/link", "file");
  tar.node("a/pipe", '6', 0, 0).file("implicit/file", "x").file("a/.wh.gone", "");
  tar.pax({{"SCHILY.xattr.user.note", "value"}}).file("noted", "x");
  return tar;
}

struct Pair {
  Place left;
  Place right;
  Pair() {
    REQUIRE(left.unpack(layer_of_everything()));
    REQUIRE(right.unpack(layer_of_everything()));
  }
  std::string differences() {
    layer::CompareRequest request;
    request.left = left.path("");
    request.right = right.path("");
    request.timeless.insert(left.result->implicit.begin(), left.result->implicit.end());
    request.timeless.insert(left.result->whiteouts.begin(), left.result->whiteouts.end());
    auto result = layer::compare(request);
    REQUIRE(result.ok());
    std::string told;
    for (const auto& [path, what] : result->first) told.append(path).append(": ").append(what).append("\n");
    return told;
  }
  // A change that leaves the time as it was.
  void keeping_time(const std::string& name, const std::function<void(const std::string&)>& change) const {
    struct stat before = {};
    REQUIRE(lstat(left.path(name).c_str(), &before) == 0);
    change(left.path(name));
    const timespec times[2] = {before.st_atim, before.st_mtim};
    REQUIRE(utimensat(AT_FDCWD, left.path(name).c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
  }
};

void overwrite(const std::string& path, const std::string& bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  CHECK(pwrite(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  close(fd);
}

}  // namespace

TEST_CASE("a layer unpacked twice is the same, at whatever time") {
  Pair pair;
  CHECK(pair.differences().empty());
}

TEST_CASE("every change of a layer is found") {
  Pair pair;
  std::string expected;
  SUBCASE("a byte") {
    pair.keeping_time("a/file", [](const std::string& path) { overwrite(path, "Some"); });
    expected = "a/file: content\na/twin: content\n";
  }
  SUBCASE("a size") {
    pair.keeping_time("noted", [](const std::string& path) { REQUIRE(truncate(path.c_str(), 0) == 0); });
    expected = "noted: size\n";
  }
  SUBCASE("a mode") {
    REQUIRE(chmod(pair.left.path("noted").c_str(), 0600) == 0);
    expected = "noted: mode\n";
  }
  SUBCASE("a time") {
    REQUIRE(utimensat(AT_FDCWD, pair.left.path("a/link").c_str(), nullptr, AT_SYMLINK_NOFOLLOW) == 0);
    expected = "a/link: time\n";
  }
  SUBCASE("an owner") {
    if (geteuid() != 0) return;
    REQUIRE(lchown(pair.left.path("a/link").c_str(), 7, 7) == 0);
    expected = "a/link: owner\n";
  }
  SUBCASE("a name less, and one more") {
    pair.keeping_time("a", [](const std::string& path) {
      REQUIRE(unlink((path + "/pipe").c_str()) == 0);
      REQUIRE(symlink("x", (path + "/more").c_str()) == 0);
    });
    expected = "a/more: is not of the layer\na/pipe: is missing\n";
  }
  SUBCASE("a kind") {
    pair.keeping_time("a", [](const std::string& path) {
      REQUIRE(unlink((path + "/pipe").c_str()) == 0);
      REQUIRE(symlink("x", (path + "/pipe").c_str()) == 0);
    });
    expected = "a/pipe: is of another kind\n";
  }
  SUBCASE("an extended attribute") {
    const std::string path = pair.left.path("noted");
    if (setxattr(path.c_str(), "user.note", "other", 5, 0) != 0) return;  // not on this file system
    expected = "noted: extended attributes\n";
  }
  CHECK(pair.differences() == expected);
}

TEST_CASE("what is no folder, or not there, is told") {
  Pair pair;
  layer::CompareRequest request;
  request.left = pair.left.path("nowhere");
  request.right = pair.right.path("");
  auto missing = layer::compare(request);
  REQUIRE(missing.ok());
  CHECK(missing->count == 1);
  CHECK(missing->first.front().what == "is missing");
  request.left = pair.left.path("noted");
  CHECK(!layer::compare(request).ok());
}

TEST_CASE("a stream comes out without its compression, within the limits") {
  const std::string text(300'000, 'x');
  std::string packed(compressBound(text.size()) + 64, '\0');
  z_stream stream = {};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);

  const int input = memfd_create("packed", MFD_CLOEXEC);
  const int output = memfd_create("plain", MFD_CLOEXEC);
  REQUIRE(write(input, packed.data(), packed.size()) == static_cast<ssize_t>(packed.size()));
  lseek(input, 0, SEEK_SET);
  auto size = layer::inflate_all(input, output, {});
  REQUIRE(size.ok());
  CHECK(*size == text.size());
  std::string got(text.size(), '\0');
  CHECK(pread(output, got.data(), got.size(), 0) == static_cast<ssize_t>(got.size()));
  CHECK(got == text);

  lseek(input, 0, SEEK_SET);
  layer::Limits limits;
  limits.bytes = 1000;
  auto bomb = layer::inflate_all(input, output, limits);
  REQUIRE(!bomb.ok());
  CHECK(bomb.failure().step == "limit bytes");
  close(input);
  close(output);
}
