// DNS messages (RFC 1035, section 4; EDNS: RFC 6891), as much of them as a resolver needs that answers some names
// itself and passes the rest on. Everything read here comes from a container or from the network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/endpoint.h"

namespace net::dns {

constexpr std::size_t kHeaderSize = 12;
constexpr std::size_t kMaxMessage = 65535;  // over TCP, whose length field has two bytes
constexpr std::size_t kPlainUdp = 512;      // over UDP, of a client that does not say how much it takes

enum class Rcode : std::uint8_t {
  kNone = 0,
  kFormat = 1,
  kServerFailure = 2,
  kNoName = 3,
  kNotImplemented = 4,
  kRefused = 5
};
enum Type : std::uint16_t { kA = 1, kPtr = 12, kAaaa = 28, kOpt = 41, kAny = 255 };
constexpr std::uint16_t kInternet = 1;  // the class IN

// A name as it stands in a message: lower case, its labels joined by dots, the root "". A byte of a label that is not
// of [a-z0-9_-] is written \ddd, so that no label can look like two, or like one of ours.
struct Name {
  std::string text;
  std::size_t end = 0;  // the offset behind it
};

// The name at `offset`; nothing when it is cut off, longer than 255 bytes, or its pointers do not lead strictly back.
std::optional<Name> read_name(std::string_view message, std::size_t offset);

struct Query {
  std::uint16_t id = 0;
  std::string name;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  bool recursion_desired = false;
  bool checking_disabled = false;
  bool has_edns = false;
  std::uint8_t edns_version = 0;
  std::size_t udp_size = kPlainUdp;  // what an answer over UDP may have
  std::string question;              // name, type and class as they came: their letters' case is the client's own
};

// What is to become of bytes that a client sent.
enum class Verdict : std::uint8_t {
  kQuery,   // parsed
  kRefuse,  // answered by error_answer(), with the rcode
  kDrop,    // not a query: an answer to it could be answered, for ever
};
struct Parsed {
  Verdict verdict = Verdict::kDrop;
  Rcode rcode = Rcode::kNone;
  Query query;
};
Parsed parse_query(std::string_view message);

// The answer to a message that is no query we understand: its id, its opcode and the rcode, nothing else.
std::string error_answer(std::string_view message, Rcode rcode);

// Builds an answer of our own to a query.
class Answer {
 public:
  explicit Answer(const Query& query, Rcode rcode = Rcode::kNone);

  void add(const Address& address);         // an A or AAAA record of the name asked for
  void add_pointer(std::string_view name);  // a PTR record: labels of at most 63 bytes, joined by dots

  // The message; where it has more than `limit` bytes, without its records and marked as truncated, so that the client
  // asks again over TCP.
  [[nodiscard]] std::string finish(std::size_t limit) const;

 private:
  void begin_record(std::uint16_t type, std::size_t size);
  const Query& query_;
  Rcode rcode_;
  std::string records_;
  std::uint16_t count_ = 0;
};

// Whether `message`, from a server, answers the query that was sent to it under `id`: it is a response, of that id, to
// that question. Where it only says why it will not answer it may leave the question out.
bool answers(std::string_view message, std::uint16_t id, std::string_view question);

std::uint16_t id_of(std::string_view message);  // of at least kHeaderSize bytes, as those below
void set_id(std::string& message, std::uint16_t id);
Rcode rcode_of(std::string_view message);

// The address in a name below in-addr.arpa or ip6.arpa; nothing for any other name.
std::optional<Address> address_of_pointer(std::string_view name);

}  // namespace net::dns
