#include "net/address.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>

TEST_CASE("addresses are dotted decimal and nothing else") {
  CHECK(net::parse_address("10.1.2.3") == htonl(0x0a010203));
  for (const char* bad : {"", "10.1.2", "10.1.2.3.4", "010.1.2.3", "10.1.2.256", "0x0a.1.2.3", "10.1.2.3 ", "::1"}) {
    CHECK_MESSAGE(!net::parse_address(bad), bad);
  }
  CHECK(net::to_string(htonl(0x0a010203)) == "10.1.2.3");
}

TEST_CASE("a CIDR knows its mask and broadcast address") {
  auto cidr = net::parse_cidr("10.1.2.3/20");
  REQUIRE(cidr);
  CHECK(cidr->mask() == htonl(0xfffff000));
  CHECK(net::to_string(cidr->broadcast()) == "10.1.15.255");
  CHECK(net::parse_cidr("0.0.0.0/0")->mask() == 0);
  for (const char* bad : {"10.1.2.3", "10.1.2.3/", "10.1.2.3/33", "10.1.2.3/-1", "10.1.2.3/2x", "10.1.2.3/300"}) {
    CHECK_MESSAGE(!net::parse_cidr(bad), bad);
  }
}

TEST_CASE("hardware addresses") {
  CHECK(net::parse_mac("02:d1:0a:01:02:03") == net::mac_of(htonl(0x0a010203)));
  for (const char* bad : {"", "02:d1:0a:01:02", "02:d1:0a:01:02:0g", "02-d1-0a-01-02-03", "02:d1:0a:01:02:033"}) {
    CHECK_MESSAGE(!net::parse_mac(bad), bad);
  }
}
