// Disks that fill up, run out of inodes, and processes that run out of descriptors (layers.md 69, faults 7). Run as
// root.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer_support.h"
#include "sys/tree.h"

using namespace layer_test;

namespace {

constexpr int kOffsets = 30;
constexpr int kFiles = 40;
constexpr size_t kFileSize = 20000;
constexpr size_t kPage = 4096;

Tar ordinary() {
  Tar tar;
  for (int at = 0; at < kFiles; at++) {
    const std::string folder = "d" + std::to_string(at / 4) + "/";
    if (at % 4 == 0) tar.folder(folder);
    tar.file(folder + std::to_string(at), std::string(kFileSize, static_cast<char>('a' + at % 26)));
    tar.hardlink(folder + "link" + std::to_string(at), folder + std::to_string(at));
  }
  return tar;
}

// On a fresh tmpfs of that size: unpacking fails for want of room and leaves no blob; once the half layer is removed
// and there is room, it succeeds. 0 if so, 1 if it did not fail.
int fails_and_recovers(Place& place, const Tar& tar, const std::string& options) {
  if (mount("tmpfs", "/mnt", "tmpfs", 0, options.c_str()) != 0) return 10;
  if (mkdir("/mnt/root", 0755) != 0) return 11;
  place.request.layer_dir = "/mnt/root";
  place.request.blob_file = "/mnt/blob";
  place.request.sync = true;
  if (place.unpack(tar)) return 1;
  if (place.failure->err != ENOSPC) return 12;
  const bool named = place.failure->step == "keep blob" || !place.failure->path.empty();
  if (!named) return 13;
  if (access("/mnt/blob", F_OK) == 0) return 14;
  // What the caller does: what is in the folder is worthless.
  if (!sys::remove_tree("/mnt/root")) return 15;
  if (mount("tmpfs", "/mnt", "tmpfs", MS_REMOUNT, "size=100m,nr_inodes=0") != 0) return 16;
  if (mkdir("/mnt/root", 0755) != 0 || !place.unpack(tar)) return 17;
  return access("/mnt/blob", F_OK) == 0 && access("/mnt/root/d9/link39", F_OK) == 0 ? 0 : 18;
}

}  // namespace

TEST_CASE("G69: a disk that is full, at 30 places of the layer: an error, no blob, and with room it works") {
  const Tar tar = ordinary();
  const size_t content = kFiles * ((kFileSize + kPage - 1) / kPage) * kPage;
  const size_t total = content + tar.done().size();
  for (int offset = 0; offset < kOffsets; offset++) {
    // The last is two pages short of enough, folders not counted.
    const size_t size = kPage * (2 + offset * (total / kPage - 4) / (kOffsets - 1));
    INFO("a disk of " << size << " bytes");
    Place place;
    CHECK(in_child([&] {
            if (!own_mounts()) return 9;
            return fails_and_recovers(place, tar, "size=" + std::to_string(size));
          }) == 0);
  }
}

TEST_CASE("G69: a disk without inodes, at each kind of thing that takes one") {
  const Tar tar = ordinary();
  for (const int inodes : {3, 4, 5, 10, 30, 50}) {
    INFO(inodes << " inodes");
    Place place;
    CHECK(in_child([&] {
            if (!own_mounts()) return 9;
            return fails_and_recovers(place, tar, "nr_inodes=" + std::to_string(inodes));
          }) == 0);
  }
}

TEST_CASE("G69: folders by the thousand take a bounded number of descriptors") {
  Tar tar;
  for (int at = 0; at < 2000; at++) {
    const std::string name = std::to_string(at);
    tar.folder(name + "/").file(name + "/f").file("implicit" + name + "/.wh.x", "");
  }
  Place place;
  CHECK(in_child([&] {
          const rlimit few = {128, 128};
          if (setrlimit(RLIMIT_NOFILE, &few) != 0) return 1;
          return place.unpack(tar) ? 0 : 2;
        }) == 0);
  CHECK(place.exists("1999/f"));
}

TEST_CASE("G69: no descriptor left at all is an error, not a layer without something") {
  Tar tar;
  for (int at = 0; at < 70; at++) tar.folder(std::to_string(at) + "/").file(std::to_string(at) + "/f");
  Place place;
  CHECK(in_child([&] {
          const rlimit few = {40, 40};
          if (setrlimit(RLIMIT_NOFILE, &few) != 0) return 1;
          if (place.unpack(tar)) return 2;
          return place.failure->err == EMFILE && !place.failure->path.empty() ? 0 : 3;
        }) == 0);
}
