// Mounts, volumes and the files that parse into them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "jail/mount_options.h"
#include "jail/target.h"
#include "test/jail_support.h"

using jail_test::default_spec;
using jail_test::Outcome;
using jail_test::run;
using jail_test::Sandbox;

TEST_CASE("mount options are sorted by who understands them") {
  const jail::MountOptions options =
      jail::parse_options({"rbind", "ro", "nosuid", "suid", "noatime", "rslave", "size=64k", "newinstance", "rro"});
  CHECK(options.recursive_bind);
  CHECK(options.set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME));
  CHECK((options.clear & MOUNT_ATTR_NOSUID) != 0);
  CHECK((options.clear & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME);
  CHECK(options.propagation == MS_SLAVE);
  CHECK(options.recursive_propagation);
  CHECK(options.recursive_set == MOUNT_ATTR_RDONLY);
  REQUIRE(options.data.size() == 2);
  CHECK(*options.find("size") == "64k");
  CHECK(options.find("newinstance")->empty());
}

TEST_CASE("paths are cleaned without climbing") {
  CHECK(jail::clean_path("/a//b/./c/../d/") == "a/b/d");
  CHECK(jail::clean_path("/../../x") == "x");
  CHECK(jail::clean_path("/") == "");
  CHECK(jail::clean_path("/a/..") == "");
}

TEST_CASE("binds are writable or not, and keep the host's tree out") {
  const Sandbox sandbox;
  std::ofstream(sandbox.path("volume/file")) << "host";
  jail::Spec spec =
      default_spec(sandbox, {"sh", "-c", "cat /v/file; touch /v/new && echo w; touch /r/new 2>&1; cat /f"});
  spec.mounts.push_back({"/v", "bind", sandbox.path("volume"), {"rbind"}});
  spec.mounts.push_back({"/r", "bind", sandbox.path("volume"), {"rbind", "ro", "nosuid"}});
  spec.mounts.push_back({"/f", "bind", sandbox.path("volume/file"), {"bind", "ro"}});
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.out == "hostw\ntouch: /r/new: Read-only file system\nhost");
  CHECK(access(sandbox.path("volume/new").c_str(), F_OK) == 0);
}

TEST_CASE("a missing source and a source of the wrong kind are errors that name the destination") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"true"});
  spec.mounts.push_back({"/v", "bind", sandbox.path("nothing"), {"rbind"}});
  Outcome outcome = run(spec);
  CHECK(outcome.error.step == "mount /v");
  CHECK(outcome.error.err == ENOENT);
  CHECK(outcome.error.path == sandbox.path("nothing"));
  spec.mounts.back() = {"/etc/passwd", "bind", sandbox.path("volume"), {"rbind"}};
  outcome = run(spec);
  CHECK(outcome.error.step == "mount /etc/passwd");
  CHECK(outcome.error.err == ENOTDIR);
  spec.mounts.back() = {"/x", "nosuchfs", "none", {}};
  CHECK(run(spec).error.err == ENODEV);
}

TEST_CASE("a tmpfs takes the mode of the folder it covers, unless told otherwise") {
  const Sandbox sandbox;
  REQUIRE(chmod(sandbox.path("lower/tmp").c_str(), 01777) == 0);
  jail::Spec spec = default_spec(sandbox, {"stat", "-c", "%a", "/tmp", "/cache"});
  spec.mounts.push_back({"/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev", "size=1m"}});
  spec.mounts.push_back({"/cache", "tmpfs", "tmpfs", {"mode=0700"}});
  CHECK(run(spec).out == "1777\n700\n");
}

TEST_CASE("an empty volume is filled with the image's folder, owners and all") {
  const Sandbox sandbox;
  sandbox.write_lower("data/a", "content", 0640);
  sandbox.write_lower("data/sub/b", "more", 0600);
  const std::string data = sandbox.path("lower/data");
  REQUIRE(chown((data + "/a").c_str(), 1000, 1000) == 0);
  REQUIRE(chown(data.c_str(), 999, 998) == 0);
  REQUIRE(chmod(data.c_str(), 0700) == 0);
  REQUIRE(chmod((data + "/a").c_str(), 04640) == 0);
  REQUIRE(link((data + "/a").c_str(), (data + "/sub/hard").c_str()) == 0);
  REQUIRE(symlink("/etc/shadow", (data + "/soft").c_str()) == 0);
  REQUIRE(mkfifo((data + "/fifo").c_str(), 0600) == 0);
  REQUIRE(chmod((data + "/fifo").c_str(), 0622) == 0);
  const bool xattrs = setxattr((data + "/a").c_str(), "user.note", "n", 1, 0) == 0;
  const timespec times[2] = {{1000000000, 5}, {1000000000, 7}};
  REQUIRE(utimensat(AT_FDCWD, (data + "/a").c_str(), times, 0) == 0);

  jail::Spec spec = default_spec(sandbox, {"sh", "-c", "cat /data/a; echo new > /data/made"});
  spec.mounts.push_back({"/data", "bind", sandbox.path("volume"), {"rbind"}, true});
  const Outcome outcome = run(spec);
  CHECK(outcome.error.message == "");
  CHECK(outcome.error.err == 0);
  CHECK(outcome.out == "content");

  const std::string volume = sandbox.path("volume");
  struct stat info {};
  REQUIRE(stat(volume.c_str(), &info) == 0);
  CHECK(info.st_uid == 999);
  CHECK(info.st_gid == 998);
  CHECK((info.st_mode & 07777) == 0700);
  REQUIRE(stat((volume + "/a").c_str(), &info) == 0);
  CHECK(info.st_uid == 1000);
  CHECK((info.st_mode & 07777) == 04640);
  CHECK(info.st_mtim.tv_sec == 1000000000);
  CHECK(info.st_mtim.tv_nsec == 7);
  CHECK(info.st_nlink == 2);
  struct stat hard {};
  REQUIRE(stat((volume + "/sub/hard").c_str(), &hard) == 0);
  CHECK(hard.st_ino == info.st_ino);
  CHECK(std::filesystem::read_symlink(volume + "/soft") == "/etc/shadow");
  REQUIRE(stat((volume + "/fifo").c_str(), &info) == 0);
  CHECK(S_ISFIFO(info.st_mode));
  CHECK((info.st_mode & 0777) == 0622);
  char note = 0;
  if (xattrs) CHECK(getxattr((volume + "/a").c_str(), "user.note", &note, 1) == 1);

  // What is in it stays: the image is not copied over a used volume.
  spec.process.args = {"sh", "-c", "cat /data/made; [ -e /data/a ] || echo gone"};
  REQUIRE(unlink((volume + "/a").c_str()) == 0);
  CHECK(run(spec).out == "new\ngone\n");
}

TEST_CASE("a host bind mount can propagate as asked") {
  const Sandbox sandbox;
  jail::Spec spec = default_spec(sandbox, {"grep", " /v ", "/proc/self/mountinfo"});
  REQUIRE(mount("none", sandbox.path("volume").c_str(), "tmpfs", 0, nullptr) == 0);
  REQUIRE(mount(nullptr, sandbox.path("volume").c_str(), nullptr, MS_SHARED, nullptr) == 0);
  spec.mounts.push_back({"/v", "bind", sandbox.path("volume"), {"rbind", "rslave"}});
  const Outcome slave = run(spec);
  spec.mounts.back().options = {"rbind", "rshared"};
  const Outcome shared = run(spec);
  spec.mounts.back().options = {"rbind"};
  const Outcome plain = run(spec);
  CHECK(umount2(sandbox.path("volume").c_str(), MNT_DETACH) == 0);
  CHECK(slave.out.find("master:") != std::string::npos);
  CHECK(shared.out.find("shared:") != std::string::npos);
  CHECK(plain.out.find("master:") == std::string::npos);
  CHECK(plain.out.find("shared:") == std::string::npos);
}
