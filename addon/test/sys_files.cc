// The small helpers that everything else trusts.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "sys/bytes.h"
#include "sys/json.h"
#include "sys/kernel.h"
#include "sys/small_file.h"
#include "sys/tree.h"
#include "sys/unix_socket.h"

namespace {

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/dinghy-sys-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("only regular files of bounded size are read") {
  const Folder folder;
  std::ofstream(folder / "file") << "content";
  CHECK(*sys::read_file(folder / "file", 7) == "content");
  CHECK(sys::read_file(folder / "file", 6).failure().err == EFBIG);
  CHECK(sys::read_file(folder / "none", 6).failure().err == ENOENT);
  CHECK(sys::read_file("/proc/self/status", 1 << 20)->find("Name:") == 0);
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(sys::read_file(folder / "fifo", 10).failure().err == EINVAL);
  CHECK(sys::read_file("/dev/zero", 10).failure().err == EINVAL);
  CHECK(sys::read_file(folder / "", 10).failure().err == EINVAL);
  std::ofstream(folder / "sparse");
  REQUIRE(truncate((folder / "sparse").c_str(), off_t{1} << 40) == 0);
  CHECK(sys::read_file(folder / "sparse", 1 << 20).failure().err == EFBIG);
}

TEST_CASE("a file is replaced as a whole, and a planted link is not written through") {
  const Folder folder;
  const sys::Fd dir(open((folder / "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK(sys::replace_file(dir.get(), "state", "one", 0600, false).ok());
  std::ofstream(folder / "victim") << "safe";
  REQUIRE(symlink("victim", (folder / ".state.new").c_str()) == 0);
  CHECK(sys::replace_file(dir.get(), "state", "two", 0600, true).ok());
  CHECK(*sys::read_file(folder / "state", 10) == "two");
  CHECK(*sys::read_file(folder / "victim", 10) == "safe");
  CHECK(access((folder / ".state.new").c_str(), F_OK) != 0);
}

TEST_CASE("a tree is removed under the hands of somebody who writes into it") {
  const Folder folder;
  for (int round = 0; round < 20; round++) {
    std::filesystem::create_directories(folder / "tree/deep/deeper");
    const sys::Fd top(open((folder / "tree").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const sys::Fd deep(open((folder / "tree/deep").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    std::atomic<bool> begun{false};
    std::thread writer([&] {
      // In folders that are gone nothing can be made any more.
      for (int number = 0, made = 2; made > 0; number++) {
        made = 0;
        for (const sys::Fd* into : {&top, &deep}) {
          const sys::Fd file(openat(into->get(), std::to_string(number).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
          if (file) made++;
        }
        begun = true;
        // One that made names as fast as they can be removed would keep a folder for ever.
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
    while (!begun) std::this_thread::yield();
    const auto removed = sys::remove_tree(folder / "tree");
    CHECK_MESSAGE(removed, (removed ? "" : removed.failure().message));
    CHECK(!std::filesystem::exists(folder / "tree"));
    if (!removed) std::filesystem::remove_all(folder / "tree");
    writer.join();
  }
}

TEST_CASE("descriptors travel with a message and arrive close-on-exec") {
  auto ends = sys::socket_pair(SOCK_SEQPACKET);
  REQUIRE(ends.ok());
  const sys::Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(*sys::send_fds(ends->first.get(), "hi", 2, {file.get(), file.get()}) == 2);
  char data[8];
  auto received = sys::receive_fds(ends->second.get(), data, sizeof data);
  REQUIRE(received.ok());
  CHECK(received->size == 2);
  REQUIRE(received->fds.size() == 2);
  CHECK((fcntl(received->fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(*sys::send_fds(ends->first.get(), "too long", 8, {}) == 8);
  CHECK(sys::receive_fds(ends->second.get(), data, 3).failure().err == EMSGSIZE);
  ends->first.reset();
  CHECK(sys::receive_fds(ends->second.get(), data, sizeof data)->size == 0);
  CHECK(!sys::send_fds(ends->second.get(), "x", 1, std::vector<int>(100, 0)).ok());
}

TEST_CASE("a socket whose path does not fit is reached all the same") {
  const Folder folder;
  std::string deep = folder / std::string(60, 'a');
  for (int i = 0; i < 3; i++) {
    REQUIRE(mkdir(deep.c_str(), 0700) == 0);
    deep += "/" + std::string(60, 'b');
  }
  REQUIRE(mkdir(deep.c_str(), 0700) == 0);
  const std::string path = deep + "/ctl";
  CHECK(path.size() > 200);
  auto listener = sys::listen_unix(path, 4);
  REQUIRE(listener.ok());
  auto client = sys::connect_unix(path);
  REQUIRE(client.ok());
  const sys::Fd accepted(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(accepted);
  CHECK(sys::peer_of(accepted.get())->pid == getpid());
  CHECK(sys::connect_unix(folder / "none").failure().err == ENOENT);
}

TEST_CASE("json that is deep, broken or not what was meant") {
  rapidjson::Document document;
  CHECK(sys::parse_json(document, R"({"a": {"b": [1, "x"]}, "n": null, "big": 1e400})").ok() == false);
  REQUIRE(sys::parse_json(document, R"({"a": {"b": ["x"]}, "n": null, "t": true, "i": 5})").ok());
  sys::JsonReader reader("test");
  CHECK(reader.texts(reader.object(&document, "a"), "b") == std::vector<std::string>{"x"});
  CHECK(reader.text(&document, "n", "none") == "none");
  CHECK(reader.flag(&document, "t"));
  CHECK(*reader.integer(&document, "i", 0, 10) == 5);
  CHECK(reader.done().ok());
  CHECK(!reader.integer(&document, "i", 6, 10));
  CHECK(reader.done().failure().message == "i must be between 6 and 10");
  CHECK(!sys::parse_json(document, std::string(100, '[') + std::string(100, ']')).ok());
  CHECK(sys::parse_json(document, "\"" + std::string(1000, '[') + "\"").ok());
  CHECK(!sys::parse_json(document, "{\"a\": 1} x").ok());
}
