// Packing: every type and attribute, read again by our own unpacker and by GNU tar; trees that change meanwhile. Run as
// root.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include "layer/pack.h"
#include "layer/tar_reader.h"
#include "layer_support.h"
#include "sys/bytes.h"

using namespace layer_test;

namespace {

const std::string kCapability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);

// The archive of a place's root.
struct Packed {
  std::string bytes;
  std::optional<layer::PackReport> report;
  std::optional<sys::Error> failure;
};

Packed pack(const std::string& folder, uint32_t depth = 1024) {
  Packed packed;
  const sys::Fd root(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const sys::Fd out(memfd_create("tar", MFD_CLOEXEC));
  layer::Output output(out.get());
  if (!root || !out || !output.start()) abort();
  auto report = layer::pack(root.get(), output, {depth});
  if (!report) {
    packed.failure = report.take_failure();
    return packed;
  }
  packed.report = std::move(*report);
  if (!output.finish()) abort();
  packed.bytes.resize(output.size());
  if (pread(out.get(), packed.bytes.data(), packed.bytes.size(), 0) != static_cast<ssize_t>(output.size())) abort();
  return packed;
}

void put_file(const Place& place, const std::string& name, const std::string& data, mode_t mode = 0644) {
  const sys::Fd fd(open(place.path(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd || !sys::write_all(fd.get(), data) || fchmod(fd.get(), mode) != 0) abort();
}

void set_time(const Place& place, const std::string& name, int64_t seconds, long nanoseconds) {
  const timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  if (utimensat(AT_FDCWD, place.path(name).c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) abort();
}

// One line for each name: all that an archive should bring over.
std::vector<std::string> describe(const Place& place) {
  std::map<ino_t, std::string> first;
  std::vector<std::string> names = place.names();
  names.insert(names.begin(), "");
  std::vector<std::string> lines;
  for (const std::string& name : names) {
    const struct stat status = *place.status(name);
    std::string line = name + " " + octal(status.st_mode, 7) + " " + std::to_string(status.st_uid) + ":" +
                       std::to_string(status.st_gid) + " " + std::to_string(status.st_mtim.tv_sec) + "." +
                       std::to_string(status.st_mtim.tv_nsec);
    if (S_ISREG(status.st_mode)) line += " =" + *place.content(name);
    if (S_ISLNK(status.st_mode)) line += " ->" + *place.link(name);
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) line += " dev " + std::to_string(status.st_rdev);
    if (!S_ISDIR(status.st_mode)) line += " same as " + first.emplace(status.st_ino, name).first->second;
    for (const char* attribute : {"user.a", "user.bin", "security.capability", "user.overlay.opaque"}) {
      if (const auto value = place.xattr(name, attribute)) line += std::string(" ") + attribute + "=" + *value;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

void make_everything(const Place& place) {
  const auto at = [&place](const std::string& name) { return place.path(name); };
  const auto must = [](int result) {
    if (result != 0) abort();
  };
  put_file(place, "plain", "content");
  put_file(place, "empty", "");
  put_file(place, "block", std::string(512, 'b'));
  put_file(place, "large", std::string(700000, 'l'));
  must(link(at("plain").c_str(), at("zz-second").c_str()));
  put_file(place, "setuid", "s");
  must(chown(at("setuid").c_str(), 1000, 4242));
  must(chmod(at("setuid").c_str(), 06755));
  put_file(place, "far-owner", "o");
  must(chown(at("far-owner").c_str(), 4294967294, 2097152));
  must(setxattr(at("plain").c_str(), "user.a", "text", 4, 0));
  must(setxattr(at("plain").c_str(), "user.bin", "\0=\n\xff", 4, 0));
  must(setxattr(at("empty").c_str(), "security.capability", kCapability.data(), kCapability.size(), 0));
  must(mkdir(at("sticky").c_str(), 0700));
  must(chmod(at("sticky").c_str(), 01777));
  must(setxattr(at("sticky").c_str(), "user.a", "on a folder", 11, 0));
  must(mkdir(at("closed").c_str(), 0));
  put_file(place, "closed/in", "inside", 0);
  must(symlink("/etc/passwd", at("absolute").c_str()));
  must(symlink("../../x", at("up").c_str()));
  must(symlink(std::string(3000, 't').c_str(), at("far").c_str()));
  must(link(at("up").c_str(), at("up-too").c_str()));
  must(lchown(at("up").c_str(), 7, 8));
  must(mkfifo(at("fifo").c_str(), 0610));
  must(link(at("fifo").c_str(), at("fifo-too").c_str()));
  must(mknod(at("char").c_str(), S_IFCHR | 0620, makedev(4095, 1048575)));
  must(mknod(at("disk").c_str(), S_IFBLK | 0660, makedev(7, 3)));
  put_file(place, "caf\xe9", "no UTF-8");
  put_file(place, "new\nline", "n");
  put_file(place, "-rf", "r");
  put_file(place, std::string(255, 'n'), "a long name");
  put_file(place, std::string(100, 'h'), "exactly a hundred");
  std::string deep;
  for (int level = 0; level < 12; level++) {
    deep += (level > 0 ? "/" : "") + std::string(40, static_cast<char>('a' + level));
    must(mkdir(at(deep).c_str(), 0755));
  }
  put_file(place, deep + "/f", "deep down");
  must(link(at("large").c_str(), at(deep + "/l").c_str()));
  set_time(place, "plain", 1700000000, 123456789);
  set_time(place, "block", 1700000000, 500000000);
  set_time(place, "large", 0, 0);
  set_time(place, "absolute", 1600000000, 1);
  set_time(place, "fifo", 1500000000, 0);
  set_time(place, "sticky", 1400000000, 999999999);
  set_time(place, "", 1300000000, 5);
}

std::string shell(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  char part[4096];
  for (size_t size = 0; (size = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, size);
  if (pclose(pipe) != 0) text += " FAILED";
  return text;
}

}  // namespace

TEST_CASE("a tree with everything is the same after packing and unpacking, and packs to the same bytes") {
  Place place;
  make_everything(place);
  const Packed packed = pack(place.path(""));
  REQUIRE(packed.report);
  CHECK(packed.report->entries == place.names().size() + 1);
  CHECK(packed.report->warnings.empty());
  Place other;
  REQUIRE(other.unpack(packed.bytes));
  CHECK(describe(other) == describe(place));
  CHECK(other.result->implicit.empty());
  CHECK(other.result->warnings.empty());
  CHECK(pack(other.path("")).bytes == packed.bytes);
}

TEST_CASE("GNU tar lists every name and extracts the same tree") {
  Place place;
  make_everything(place);
  const std::string archive = place.outside("packed.tar");
  const Packed packed = pack(place.path(""));
  {
    const sys::Fd fd(open(archive.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(sys::write_all(fd.get(), packed.bytes).ok());
  }
  Place other;
  CHECK(shell("tar -C " + other.path("") + " --xattrs --xattrs-include='*' --same-owner -pxf " + archive + " 2>&1") ==
        "");
  CHECK(describe(other) == describe(place));
  const std::string listed = shell("tar --quoting-style=literal --show-transformed-names -tf " + archive + " 2>&1");
  CHECK(listed.starts_with("./\n-rf\n"));
  CHECK(listed.find("caf\xe9\n") != std::string::npos);
}

TEST_CASE("sockets are left out; overlayfs's own attributes never get into an archive") {
  Place place;
  put_file(place, "f", "x");
  REQUIRE(setxattr(place.path("f").c_str(), "user.overlay.opaque", "y", 1, 0) == 0);
  REQUIRE(setxattr(place.path("").c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0);
  REQUIRE(setxattr(place.path("f").c_str(), "trusted.mine", "y", 1, 0) == 0);
  REQUIRE(mknod(place.path("socket").c_str(), S_IFSOCK | 0600, 0) == 0);
  const Packed packed = pack(place.path(""));
  REQUIRE(packed.report);
  CHECK(packed.report->sockets == 1);
  CHECK(packed.report->entries == 2);
  for (const char* text : {"overlay", "trusted", "socket"}) CHECK(packed.bytes.find(text) == std::string::npos);
}

TEST_CASE("an attribute whose name PAX can't write is a warning") {
  Place place;
  put_file(place, "f", "x");
  REQUIRE(setxattr(place.path("f").c_str(), "user.a=b", "y", 1, 0) == 0);
  const Packed packed = pack(place.path(""));
  REQUIRE(packed.report);
  CHECK(packed.report->warnings == std::vector<std::string>{"attribute user.a=b left out, of f"});
  Place other;
  CHECK(other.unpack(packed.bytes));
}

TEST_CASE("holes are zeros in the archive and are not read; sizes over 8 GiB are told in PAX") {
  Place place;
  put_file(place, "sparse", "");
  {
    const sys::Fd fd(open(place.path("sparse").c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(pwrite(fd.get(), "middle", 6, 300000) == 6);
    REQUIRE(ftruncate(fd.get(), 1000000) == 0);
  }
  const Packed packed = pack(place.path(""));
  Place other;
  REQUIRE(other.unpack(packed.bytes));
  std::string expected(1000000, '\0');
  expected.replace(300000, 6, "middle");
  CHECK(other.content("sparse") == expected);

  REQUIRE(truncate(place.path("sparse").c_str(), 9LL << 30) == 0);
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  std::string head(4096, '\0');
  std::thread reader([&] {
    (void)sys::read_exact(ends[0], head.data(), head.size()).ok();
    close(ends[0]);
  });
  {
    const sys::Fd root(open(place.path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    layer::Output output(ends[1]);
    signal(SIGPIPE, SIG_IGN);
    REQUIRE(output.start().ok());
    auto report = layer::pack(root.get(), output);
    // Nobody reads on: that ends it.
    REQUIRE(!report.ok());
    CHECK(report.failure().err == EPIPE);
  }
  reader.join();
  close(ends[1]);
  CHECK(head.find("19 size=9663676416\n") != std::string::npos);
}

TEST_CASE("nesting has a limit") {
  Place place;
  std::string path;
  for (int level = 0; level < 5; level++) {
    path += "d/";
    REQUIRE(mkdir(place.path(path).c_str(), 0755) == 0);
  }
  CHECK(pack(place.path(""), 6).report);
  const Packed packed = pack(place.path(""), 5);
  REQUIRE(packed.failure);
  CHECK(packed.failure->step == "limit");
  CHECK(packed.failure->path == "d/d/d/d/d");
}

TEST_CASE("a folder that may not be read is an error that names it") {
  Place place;
  put_file(place, "sub", "x");
  const Packed packed = pack(place.path(""));
  CHECK(packed.report);
  // root may read everything: a thread without its rights may not.
  REQUIRE(chmod(place.path("sub").c_str(), 0) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const sys::Fd root(open(place.path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (chmod(place.path("").c_str(), 0755) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(9);
    const sys::Fd out(memfd_create("tar", MFD_CLOEXEC));
    layer::Output output(out.get());
    if (!output.start()) _exit(8);
    auto report = layer::pack(root.get(), output);
    _exit(!report && report.failure().err == EACCES && report.failure().path == "sub" ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a tree that somebody changes all the time gives a whole archive with nothing from outside") {
  Place place;
  Place secret;
  const std::string canary = "canary of the host";
  put_file(secret, "canary", canary);
  for (const char* name : {"a", "b"}) REQUIRE(mkdir(place.path(name).c_str(), 0755) == 0);
  for (int at = 0; at < 40; at++) put_file(place, "b/" + std::to_string(at), std::string(20000, 'b'));
  std::atomic<bool> stop = false;
  std::thread attacker([&] {
    const std::string folder = place.path("a");
    const std::string file = place.path("m");
    for (unsigned round = 0; !stop; round++) {
      (void)rename(folder.c_str(), place.path("hidden").c_str());
      (void)symlink(secret.path("").c_str(), folder.c_str());
      (void)unlink(folder.c_str());
      (void)rename(place.path("hidden").c_str(), folder.c_str());
      (void)unlink(file.c_str());
      switch (round % 4) {
        case 0:
          (void)symlink(secret.path("canary").c_str(), file.c_str());
          break;
        case 1:
          (void)mkfifo(file.c_str(), 0600);
          break;
        case 2:
          put_file(place, "m", std::string(round % 3000, 'm'));
          break;
        default:
          (void)mknod(file.c_str(), S_IFCHR | 0600, makedev(1, 8));
      }
      const std::string grown = place.path("b/" + std::to_string(round % 40));
      (void)truncate(grown.c_str(), round % 7 * 9000);
    }
  });
  for (int round = 0; round < 200; round++) {
    const Packed packed = pack(place.path(""));
    REQUIRE(packed.report);
    CHECK(packed.bytes.find(canary) == std::string::npos);
    Place other;
    REQUIRE_MESSAGE(other.unpack(packed.bytes), other.failure->message);
  }
  stop = true;
  attacker.join();
}

TEST_CASE("random trees are the same after packing and unpacking") {
  const char* given = getenv("DINGHY_SEED");
  const auto seed = given != nullptr ? static_cast<unsigned>(strtoul(given, nullptr, 10)) : std::random_device()();
  INFO("DINGHY_SEED=", seed);
  std::mt19937 random(seed);
  const auto pick = [&random](uint32_t below) { return static_cast<uint32_t>(random() % below); };
  for (int round = 0; round < 25; round++) {
    Place place;
    std::vector<std::string> folders = {""};
    std::vector<std::string> files;
    for (int at = 0; at < 40; at++) {
      std::string base;
      const uint32_t length = pick(10) == 0 ? 1 + pick(255) : 1 + pick(12);
      while (base.size() < length) {
        const char byte = pick(4) == 0 ? static_cast<char>(1 + pick(255)) : static_cast<char>('a' + pick(26));
        if (byte != '/') base += byte;
      }
      if (base == "." || base == ".." || base.starts_with(".wh.")) continue;
      const std::string& folder = folders[pick(static_cast<uint32_t>(folders.size()))];
      const std::string name = folder + (folder.empty() ? "" : "/") + base;
      if (place.exists(name) || name.size() > 3000) continue;
      switch (pick(8)) {
        case 0:
        case 1:
          REQUIRE(mkdir(place.path(name).c_str(), 0700) == 0);
          folders.push_back(name);
          break;
        case 2:
          REQUIRE(symlink(std::string(1 + pick(300), 't').c_str(), place.path(name).c_str()) == 0);
          break;
        case 3:
          if (!files.empty()) {
            REQUIRE(link(place.path(files[pick(static_cast<uint32_t>(files.size()))]).c_str(),
                         place.path(name).c_str()) == 0);
            continue;
          }
          [[fallthrough]];
        case 4:
          REQUIRE(mknod(place.path(name).c_str(), S_IFCHR | 0600, makedev(1 + pick(4000), pick(1000000))) == 0);
          break;
        default: {
          std::string data(pick(2000), '\0');
          for (char& byte : data) byte = static_cast<char>(pick(256));
          put_file(place, name, data);
          if (pick(3) == 0) {
            const std::string value(data.substr(0, 64));
            REQUIRE(setxattr(place.path(name).c_str(), "user.bin", value.data(), value.size(), 0) == 0);
          }
          files.push_back(name);
        }
      }
      REQUIRE(lchown(place.path(name).c_str(), pick(2) ? pick(70000) : pick(4294967295U), pick(3000000)) == 0);
      if (!S_ISLNK(place.status(name)->st_mode)) REQUIRE(chmod(place.path(name).c_str(), pick(010000)) == 0);
    }
    for (const std::string& name : place.names()) {
      const std::string plain = name.ends_with('/') ? name.substr(0, name.size() - 1) : name;
      set_time(place, plain, pick(2) ? pick(2000000000) : 8589934592 + pick(1000), pick(2) ? pick(1000000000) : 0);
    }
    set_time(place, "", 1000000000, 0);
    const Packed packed = pack(place.path(""));
    REQUIRE(packed.report);
    Place other;
    REQUIRE_MESSAGE(other.unpack(packed.bytes), other.failure->message);
    CHECK(describe(other) == describe(place));
    CHECK(pack(other.path("")).bytes == packed.bytes);
  }
}
