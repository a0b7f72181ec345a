// A container's /etc/hosts while its networks change.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "supervisor/hosts_file.h"
#include "supervisor/resolv_conf.h"
#include "sys/small_file.h"
#include "sys/tree.h"

namespace {

constexpr size_t kLimit = 4 << 20;
const char* const kOriginal =
    "127.0.0.1\tlocalhost\n10.1.0.1\thost.dinghy.internal host.docker.internal\n10.1.0.5\tweb\n10.1.0.1\tdb.local\n";

// A bundle with the file, as a container's is.
class Bundle {
 public:
  explicit Bundle(const std::string& text) {
    char name[] = "/tmp/dinghy-hosts-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
    REQUIRE(mkdir((path_ + "/etc").c_str(), 0755) == 0);
    const sys::Fd folder(open((path_ + "/etc").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(sys::replace_file(folder.get(), "hosts", text, 0644, false));
  }
  ~Bundle() { (void)sys::remove_tree(path_).ok(); }
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string hosts() const { return path_ + "/etc/hosts"; }
  [[nodiscard]] std::string text() const {
    auto text = sys::read_file(hosts(), kLimit);
    return text ? *text : "unreadable";
  }
  [[nodiscard]] ino_t inode() const {
    struct stat info {};
    REQUIRE(stat(hosts().c_str(), &info) == 0);
    return info.st_ino;
  }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("a network's line comes and goes, in the file that is mounted") {
  const Bundle bundle(kOriginal);
  const supervisor::HostsFile hosts(bundle.path());
  const ino_t inode = bundle.inode();
  REQUIRE(hosts.add("10.2.0.9", "web"));
  REQUIRE(hosts.add("10.2.0.9", "web"));  // once
  CHECK(bundle.text() == std::string(kOriginal) + "10.2.0.9\tweb\n");
  REQUIRE(hosts.remove("10.1.0.5", "web"));
  REQUIRE(hosts.remove("10.1.0.5", "other"));
  CHECK(bundle.text() ==
        "127.0.0.1\tlocalhost\n10.1.0.1\thost.dinghy.internal host.docker.internal\n"
        "10.1.0.1\tdb.local\n10.2.0.9\tweb\n");
  CHECK(bundle.inode() == inode);
}

TEST_CASE("the host's names move, those of host-gateway too, and nobody else's") {
  const Bundle bundle(std::string(kOriginal) + "10.1.0.11\tother\n10.1.0.1 typed by hand");
  const supervisor::HostsFile hosts(bundle.path());
  REQUIRE(hosts.move_host("10.222.0.1"));
  CHECK(bundle.text() ==
        "127.0.0.1\tlocalhost\n10.222.0.1\thost.dinghy.internal host.docker.internal\n10.1.0.5\tweb\n"
        "10.222.0.1\tdb.local\n10.1.0.11\tother\n10.1.0.1 typed by hand");
  CHECK(supervisor::with_host_at("127.0.0.1\tlocalhost\n", "10.9.0.1") == "127.0.0.1\tlocalhost\n");
  CHECK(supervisor::with_host_at("", "10.9.0.1").empty());
}

TEST_CASE("what the container made of the file is left as it is, but for our lines") {
  const Bundle bundle("# mine\n\n10.2.0.9\tweb\n10.2.0.9\tweb extra\nno newline");
  const supervisor::HostsFile hosts(bundle.path());
  REQUIRE(hosts.remove("10.2.0.9", "web"));
  CHECK(bundle.text() == "# mine\n\n10.2.0.9\tweb extra\nno newline");
  REQUIRE(hosts.add("10.3.0.9", "web"));
  CHECK(bundle.text() == "# mine\n\n10.2.0.9\tweb extra\nno newline\n10.3.0.9\tweb\n");
  CHECK(supervisor::without_line("a\nb\na", "a") == "b\n");
}

TEST_CASE("a file that is missing is none to change, a huge one nothing to read, a FIFO or a link nothing to open") {
  const Bundle bundle(kOriginal);
  const supervisor::HostsFile hosts(bundle.path());
  REQUIRE(truncate(bundle.hosts().c_str(), 2 << 20) == 0);
  CHECK(hosts.add("10.2.0.9", "web"));
  CHECK(bundle.text().size() == 2 << 20);
  REQUIRE(unlink(bundle.hosts().c_str()) == 0);
  CHECK(hosts.add("10.2.0.9", "web"));
  CHECK(access(bundle.hosts().c_str(), F_OK) != 0);
  REQUIRE(mkfifo(bundle.hosts().c_str(), 0644) == 0);
  auto outcome = hosts.add("10.2.0.9", "web");
  REQUIRE(!outcome);
  CHECK(outcome.failure().step == "read");
  REQUIRE(unlink(bundle.hosts().c_str()) == 0);
  // No container can put a link there; whoever can write the bundle's folder could do worse.
  REQUIRE(symlink("target", bundle.hosts().c_str()) == 0);
  const sys::Fd folder(open((bundle.path() + "/etc").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(sys::replace_file(folder.get(), "target", "1\tx\n", 0644, false));
  outcome = hosts.add("10.2.0.9", "web");
  REQUIRE(!outcome);
  CHECK(outcome.failure().err == ELOOP);
}

TEST_CASE("a resolv.conf names the container's resolver instead of other servers, and keeps the rest") {
  CHECK(
      supervisor::asking_resolver("search corp.example\nnameserver 10.0.0.2\nnameserver\t10.0.0.3\noptions edns0\n") ==
      "nameserver 127.0.0.11\nsearch corp.example\noptions edns0\noptions ndots:0\n");
  CHECK(supervisor::asking_resolver("options ndots:2") == "nameserver 127.0.0.11\noptions ndots:2\n");
  CHECK(supervisor::asking_resolver("") == "nameserver 127.0.0.11\noptions ndots:0\n");
}
