// Unpacking where less is allowed: as an ordinary user, in a user namespace with one id, on a root that is itself
// overlayfs, and confined. Each in a process of its own. Run as root.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "layer_support.h"

using namespace layer_test;

namespace {

constexpr uid_t kUser = 65534;

bool write_file(const char* path, const std::string& text) {
  const sys::Fd fd(open(path, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void give_to_user(const Place& place) {
  REQUIRE(chown(place.outside("").c_str(), kUser, kUser) == 0);
  REQUIRE(chown(place.path("").c_str(), kUser, kUser) == 0);
}

Tar ordinary_layer() {
  Fields owned;
  owned.name = "owned";
  owned.uid = octal(1000, 7);
  owned.gid = octal(1000, 7);
  Tar tar;
  tar.folder("closed/", "0000500")
      .folder("closed/shut/", "0000000")
      .file("closed/shut/in")
      .file("closed/f")
      .add(owned, "x");
  tar.file("suid", "x", "0004755")
      .node("null", '3', 1, 3)
      .file("closed/.wh.gone", "")
      .file("closed/shut/.wh..wh..opq", "");
  return tar;
}

}  // namespace

TEST_CASE("an ordinary user gets the layer without owners and devices, with closed folders closed at the end") {
  Place place;
  give_to_user(place);
  place.request.userxattr = true;
  place.request.ignore_chown = true;
  const Tar tar = ordinary_layer();
  CHECK(in_child([&] {
          if (setresgid(kUser, kUser, kUser) != 0 || setresuid(kUser, kUser, kUser) != 0) return 1;
          if (!place.unpack(tar)) return 2;
          return place.result->skipped_devices == 1 && place.result->warnings.size() == 1 ? 0 : 3;
        }) == 0);
  CHECK((place.status("closed")->st_mode & 07777) == 0500);
  CHECK((place.status("closed/shut")->st_mode & 07777) == 0);
  CHECK(place.content("closed/shut/in") == "x");
  CHECK(place.status("owned")->st_uid == kUser);
  CHECK((place.status("suid")->st_mode & 07777) == 04755);
  CHECK(place.is_whiteout("closed/gone"));
  CHECK(place.xattr("closed/shut", "user.overlay.opaque") == "y");
  CHECK(!place.exists("null"));
}

TEST_CASE("an ordinary user who did not give up owners is told which entry has one") {
  Place place;
  give_to_user(place);
  const Tar tar = ordinary_layer();
  CHECK(in_child([&] {
          if (setresgid(kUser, kUser, kUser) != 0 || setresuid(kUser, kUser, kUser) != 0) return 1;
          if (place.unpack(tar)) return 2;
          return place.failure->err == EPERM && !place.failure->path.empty() ? 0 : 3;
        }) == 0);
}

TEST_CASE("in a user namespace with one id") {
  Place place;
  give_to_user(place);
  place.request.userxattr = true;
  place.request.ignore_chown = true;
  const Tar tar = ordinary_layer();
  const int step = in_child([&] {
    if (setresgid(kUser, kUser, kUser) != 0 || setresuid(kUser, kUser, kUser) != 0) return 1;
    // Its own /proc files are root's since the change of user.
    if (prctl(PR_SET_DUMPABLE, 1) != 0 || unshare(CLONE_NEWUSER) != 0) return 2;
    if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/gid_map", "0 65534 1") ||
        !write_file("/proc/self/uid_map", "0 65534 1")) {
      return 3;
    }
    if (!place.unpack(tar)) return 4;
    return place.result->skipped_devices == 1 ? 0 : 5;
  });
  if (step == 2) {
    MESSAGE("this host gives ordinary users no user namespaces");
    return;
  }
  CHECK(step == 0);
  CHECK(place.status("owned")->st_uid == kUser);
  CHECK((place.status("closed/shut")->st_mode & 07777) == 0);
  CHECK(place.is_whiteout("closed/gone"));
}

TEST_CASE("on overlayfs itself, whiteouts are marked files in marked folders") {
  Place place;
  const int step = in_child([&] {
    if (!own_mounts()) return 1;
    for (const char* name : {"/mnt/lower", "/mnt/upper", "/mnt/work"}) {
      if (mkdir(name, 0755) != 0) return 2;
    }
    const char* options = "lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work";
    if (mount("overlay", place.path("").c_str(), "overlay", 0, options) != 0) return 3;
    if (!place.unpack(
            Tar().folder("d/").file("d/.wh.x", "").file("d/.wh.y", "").file("o/.wh..wh..opq", "").file("f"))) {
      return place.failure->err == EOPNOTSUPP || place.failure->err == EPERM ? 10 : 4;
    }
    if (!place.xattr("d/x", "trusted.overlay.whiteout") || !place.xattr("d/y", "trusted.overlay.whiteout")) return 5;
    if (place.xattr("d", "trusted.overlay.opaque") != "x" || place.xattr("o", "trusted.overlay.opaque") != "y")
      return 6;
    return place.result->whiteouts.size() == 2 ? 0 : 7;
  });
  if (step == 10) {
    MESSAGE("overlayfs can't be nested before Linux 6.7");
    return;
  }
  CHECK(step == 0);
}

TEST_CASE("confined, a process sees only the layer, still unpacks everything, and keeps the blob outside") {
  Place place;
  place.request.confine = true;
  place.request.blob_file = place.outside("blob");
  Tar tar = ordinary_layer();
  tar.pax({{"SCHILY.xattr.security.capability", std::string("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)}})
      .file("cap");
  CHECK(in_child([&] {
          if (!place.unpack(tar)) return 1;
          if (access("/owned", F_OK) != 0 || access("/etc/passwd", F_OK) == 0) return 2;
          if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 3;
          // CAP_SYS_CHROOT is gone, and with it the way out.
          return chroot("/closed") != 0 ? 0 : 4;
        }) == 0);
  CHECK(place.status("owned")->st_uid == 1000);
  CHECK(place.exists("null"));
  CHECK(place.is_whiteout("closed/gone"));
  CHECK(place.xattr("cap", "security.capability"));
  CHECK(access(place.outside("blob").c_str(), F_OK) == 0);
  // What fails takes the blob along, from in there too.
  Place failing;
  failing.request.confine = true;
  failing.request.blob_file = failing.outside("blob");
  CHECK(in_child([&] { return failing.unpack(Tar().symlink("l", "")) ? 1 : 0; }) == 0);
  CHECK(access(failing.outside("blob").c_str(), F_OK) != 0);
}
