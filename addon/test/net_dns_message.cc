#include "net/dns_message.h"

#include <doctest/doctest.h>

#include "dns_support.h"

using namespace net::dns;
using net_test::query;

namespace {

std::string with_name(std::string_view name) { return std::string(kHeaderSize, '\0') + std::string(name); }

}  // namespace

TEST_CASE("a name is read in lower case, with what is no letter of a host name written out") {
  const auto name = read_name(with_name({"\3WeB\6my_Net\0", 12}), kHeaderSize);
  REQUIRE(name);
  CHECK(name->text == "web.my_net");
  CHECK(name->end == kHeaderSize + 12);
  CHECK(read_name(with_name({"\3a.b\0", 5}), kHeaderSize)->text == "a\\046b");
  CHECK(read_name(with_name({"\0", 1}), kHeaderSize)->text.empty());
}

TEST_CASE("names that do not end, are too long, or whose pointers lead round are none") {
  const std::string label = "\x3f" + std::string(63, 'a');
  CHECK(read_name(with_name(label + label + label + "\x3d" + std::string(61, 'a') + std::string(1, '\0')), 12));
  CHECK_FALSE(read_name(with_name(label + label + label + label + std::string(1, '\0')), 12));
  CHECK_FALSE(read_name(with_name("\5ab"), 12));
  CHECK_FALSE(read_name(with_name("\3abc"), 12));
  CHECK_FALSE(read_name(with_name("\xc0"), 12));
  CHECK_FALSE(read_name(with_name("\x40"
                                  "a"),
                        12));
  CHECK_FALSE(read_name(with_name("\xc0\x0c"), 12));       // itself
  CHECK_FALSE(read_name(with_name("\1a\xc0\x0c"), 12));    // round
  CHECK_FALSE(read_name(with_name("\xc0\x0e\1a"), 12));    // forward
  CHECK_FALSE(read_name(with_name({"\xc0\x02", 2}), 12));  // into the header
  CHECK_FALSE(read_name(with_name(""), 12));
  // A chain of pointers that each lead back is a name.
  const std::string chain = with_name({"\1a\0\1b\xc0\x0c\1c\xc0\x0f", 11});
  REQUIRE(read_name(chain, 12 + 7));
  CHECK(read_name(chain, 12 + 7)->text == "c.b.a");
}

TEST_CASE("a query is parsed, with what its EDNS says") {
  const Parsed plain = parse_query(query("Web", kA));
  REQUIRE(plain.verdict == Verdict::kQuery);
  CHECK(plain.query.name == "web");
  CHECK(plain.query.type == kA);
  CHECK(plain.query.klass == kInternet);
  CHECK(plain.query.recursion_desired);
  CHECK_FALSE(plain.query.has_edns);
  CHECK(plain.query.udp_size == 512);

  const Parsed large = parse_query(query("web", kAaaa, 1232));
  REQUIRE(large.verdict == Verdict::kQuery);
  CHECK(large.query.has_edns);
  CHECK(large.query.udp_size == 1232);
  CHECK(parse_query(query("web", kA, 100)).query.udp_size == 512);
}

TEST_CASE("what is no query is dropped or refused") {
  CHECK(parse_query("").verdict == Verdict::kDrop);
  CHECK(parse_query(std::string(11, '\0')).verdict == Verdict::kDrop);
  std::string response = query("web", kA);
  response[2] = static_cast<char>(response[2] | 0x80);
  CHECK(parse_query(response).verdict == Verdict::kDrop);

  std::string notify = query("web", kA);
  notify[2] = 4 << 3;
  CHECK(parse_query(notify).rcode == Rcode::kNotImplemented);
  std::string two = query("web", kA);
  two[5] = 2;
  CHECK(parse_query(two).rcode == Rcode::kFormat);
  const std::string cut = query("web", kA, 1232);
  for (std::size_t size = kHeaderSize; size < cut.size(); size++) {
    CHECK(parse_query(std::string_view(cut).substr(0, size)).verdict == Verdict::kRefuse);
  }
  const std::string answer = error_answer(two, Rcode::kFormat);
  CHECK(answer.size() == kHeaderSize);
  CHECK(id_of(answer) == id_of(two));
  CHECK(rcode_of(answer) == Rcode::kFormat);
}

TEST_CASE("an answer repeats the question as it came, and is truncated where it is too long") {
  const Parsed parsed = parse_query(query("WeB", kA, 1232));
  Answer answer(parsed.query);
  for (std::uint8_t i = 1; i <= 60; i++) answer.add(*net::parse_any_address("10.0.0." + std::to_string(i)));
  const std::string whole = answer.finish(1232);
  CHECK(answers(whole, parsed.query.id, parsed.query.question));
  CHECK(net_test::addresses_in(whole).size() == 60);
  CHECK(whole.find("WeB") != std::string::npos);
  const std::string cut = answer.finish(512);
  CHECK(cut.size() <= 512);
  CHECK(net_test::is_truncated(cut));
  CHECK(net_test::addresses_in(cut).empty());
}

TEST_CASE("a version of EDNS that nobody knows is told so") {
  std::string message = query("web", kA, 1232);
  message[message.size() - 5] = 1;  // the second byte of the TTL
  const Parsed parsed = parse_query(message);
  REQUIRE(parsed.verdict == Verdict::kQuery);
  Answer answer(parsed.query);
  answer.add(*net::parse_any_address("10.0.0.1"));
  const std::string bytes = answer.finish(1232);
  CHECK(net_test::addresses_in(bytes).empty());
  CHECK(bytes[bytes.size() - 6] == 1);  // 16, with the rcode's four bits
}

TEST_CASE("an answer is one of that id, to that question") {
  const Parsed parsed = parse_query(query("web", kA));
  const auto& [id, question] = std::pair(parsed.query.id, parsed.query.question);
  std::string answer = Answer(parsed.query).finish(512);
  CHECK(answers(answer, id, question));
  CHECK_FALSE(answers(answer, static_cast<std::uint16_t>(id + 1), question));
  CHECK_FALSE(answers(answer, id, parse_query(query("wob", kA)).query.question));
  CHECK_FALSE(answers(answer, id, parse_query(query("web", kAaaa)).query.question));
  CHECK(answers(answer, id, parse_query(query("WEB", kA)).query.question));
  CHECK_FALSE(answers(query("web", kA), id, question));
  CHECK_FALSE(answers(std::string_view(answer).substr(0, 11), id, question));
  // Without the question only a refusal is one.
  CHECK(answers(error_answer(query("web", kA), Rcode::kRefused), id, question));
  CHECK_FALSE(answers(error_answer(query("web", kA), Rcode::kNone), id, question));
}

TEST_CASE("names of addresses") {
  CHECK(address_of_pointer("4.3.2.10.in-addr.arpa") == net::parse_any_address("10.2.3.4"));
  std::string v6 = "1";
  for (int i = 0; i < 30; i++) v6 += ".0";
  CHECK(address_of_pointer(v6 + ".f.ip6.arpa") == net::parse_any_address("f000::1"));
  for (const char* other :
       {"", "arpa", "in-addr.arpa", "3.2.10.in-addr.arpa", "1.4.3.2.10.in-addr.arpa", "256.3.2.10.in-addr.arpa",
        "x.3.2.10.in-addr.arpa", "4.3.2.10.in-addr.arp", "1.f.ip6.arpa"}) {
    CHECK_MESSAGE(!address_of_pointer(other), other);
  }
}
