// Who a process runs as: pure, no privileges needed.
#include <doctest/doctest.h>

#include "jail/users.h"

using jail::Identity;
using jail::parse_user;

namespace {

constexpr char kPasswd[] =
    "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1::/usr/sbin\n"
    "broken\n"
    "4294967296:x:0:0::/:/bin/sh\n"
    "overflow:x:4294967296:0::/:/bin/sh\n"
    "huge:x:99999999999999999999:0::/:/bin/sh\n"
    "negative:x:-1:0::/:/bin/sh\n"
    "app:x:1000:1001:App:/home/app:/bin/sh\n"
    "nohome:x:1002:1002:::/bin/sh\n";
constexpr char kGroup[] =
    "root:x:0:\n"
    "daemon:x:1:\n"
    "app:x:1001:\n"
    "disk:x:6:root,app\n"
    "audio:x:29:applied,xapp\n"
    "adm:x:4:app\n"
    "bad:x:notanumber:app\n"
    "short:x\n";

sys::Result<Identity> find(std::string_view user, const std::vector<std::string>& extra = {}) {
  return parse_user(kPasswd, kGroup, user, extra);
}

}  // namespace

TEST_CASE("users by name and number") {
  CHECK(find("")->uid == 0);
  CHECK(find("")->home == "/root");
  CHECK(find("root")->uid == 0);
  CHECK(find("0")->uid == 0);
  CHECK(find("1")->uid == 1);
  CHECK(find("1")->home == "/usr/sbin");
  CHECK(find("app")->uid == 1000);
  CHECK(find("app")->gid == 1001);
  CHECK(find("app")->home == "/home/app");
  CHECK(find("app")->groups == std::vector<gid_t>{4, 6, 1001});
  CHECK(find("1000")->groups == std::vector<gid_t>{4, 6, 1001});
  CHECK(find("nohome")->home == "/");
  CHECK(find("4242")->uid == 4242);
  CHECK(find("4242")->gid == 0);
  CHECK(find("4242")->home == "/");
  CHECK(parse_user("", "", "root", {})->uid == 0);
}

TEST_CASE("groups, explicit and added") {
  CHECK(find("app:disk")->gid == 6);
  CHECK(find("app:disk")->groups == std::vector<gid_t>{6});
  CHECK(find("app:77")->gid == 77);
  CHECK(find("1:")->gid == 1);
  CHECK(find("app", {"audio", "3000"})->groups == std::vector<gid_t>{4, 6, 29, 1001, 3000});
  CHECK(!find("app:nosuch").ok());
  CHECK(!find("app", {"nosuch"}).ok());
  CHECK(!find("app:bad").ok());
  CHECK(!find("a:b:c").ok());
}

TEST_CASE("numbers out of range are errors and never names or root") {
  for (const char* user : {"4294967296", "2147483648", "65536:4294967296", "-1", "0x0", "99999999999999999999999",
                           "overflow", "huge", "negative", "nosuch", " ", "+0", "1:2147483648"}) {
    CAPTURE(std::string(user));
    CHECK(!find(user).ok());
  }
  CHECK(find("2147483647")->uid == 2147483647);
}

TEST_CASE("lines without an end, endless ones and binary ones are survived") {
  CHECK(parse_user("app:x:5:6::/h:/s", "g:x:7:app", "app", {})->groups == std::vector<gid_t>{6, 7});
  CHECK(!parse_user(std::string(1 << 20, ':'), "", "app", {}).ok());
  CHECK(!parse_user(std::string(1 << 20, '\n'), std::string(1 << 20, ','), "app", {}).ok());
  CHECK(parse_user(std::string("\0\0:\0", 4), "\xff\xff", "7", {})->uid == 7);
}
