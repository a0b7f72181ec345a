#include "net/dns_message.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace net::dns {
namespace {

// The header's flags (RFC 1035, 4.1.1; AD and CD: RFC 4035, 3.1.6).
constexpr std::uint16_t kResponse = 0x8000;
constexpr std::uint16_t kOpcode = 0x7800;
constexpr std::uint16_t kAuthoritative = 0x0400;
constexpr std::uint16_t kTruncated = 0x0200;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kRecursionAvailable = 0x0080;
constexpr std::uint16_t kCheckingDisabled = 0x0010;
constexpr std::uint16_t kRcode = 0x000f;

constexpr std::size_t kMaxName = 255;  // in the message, its lengths included
constexpr std::size_t kMaxLabel = 63;
constexpr std::uint16_t kNameOfQuestion = 0xc000 | kHeaderSize;  // a pointer to it
constexpr std::uint32_t kTtl = 0;        // containers come and go: what a client remembers would be wrong for that long
constexpr std::uint8_t kBadVersion = 1;  // the upper bits of the extended rcode 16 (RFC 6891, 6.1.3)
constexpr std::uint16_t kOurUdpSize = 4096;  // what a query over UDP may have
constexpr int kMaxRecords = 64;              // behind the question of a query, where there is one at most

std::uint16_t u16(std::string_view message, std::size_t offset) {
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(message[offset]) << 8 |
                                    static_cast<std::uint8_t>(message[offset + 1]));
}

void put16(std::string& message, std::uint16_t number) {
  message += static_cast<char>(number >> 8);
  message += static_cast<char>(number & 0xff);
}

void put32(std::string& message, std::uint32_t number) {
  put16(message, static_cast<std::uint16_t>(number >> 16));
  put16(message, static_cast<std::uint16_t>(number & 0xffff));
}

void append_label(std::string& text, std::string_view label) {
  if (!text.empty()) text += '.';
  for (char c : label) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte >= 'A' && byte <= 'Z') {
      text += static_cast<char>(byte - 'A' + 'a');
    } else if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_') {
      text += c;
    } else {
      text += '\\';
      text += static_cast<char>('0' + byte / 100);
      text += static_cast<char>('0' + byte / 10 % 10);
      text += static_cast<char>('0' + byte % 10);
    }
  }
}

// Looks for EDNS among the records behind the question; false when one of them is cut off.
bool read_records(std::string_view message, std::size_t offset, int count, Query& query) {
  for (int i = 0; i < count; i++) {
    const auto name = read_name(message, offset);
    constexpr std::size_t kFixed = 10;  // type, class, TTL, length
    if (!name || message.size() - name->end < kFixed) return false;
    const std::size_t size = u16(message, name->end + 8);
    if (message.size() - name->end - kFixed < size) return false;
    if (u16(message, name->end) == kOpt) {
      // The class is the size, the TTL has the version in its second byte (RFC 6891, 6.1.2 and 6.1.3).
      query.has_edns = true;
      query.udp_size = std::max<std::size_t>(u16(message, name->end + 2), kPlainUdp);
      query.edns_version = static_cast<std::uint8_t>(message[name->end + 5]);
    }
    offset = name->end + kFixed + size;
  }
  return true;
}

std::vector<std::string_view> labels_of(std::string_view name) {
  std::vector<std::string_view> labels;
  while (!name.empty()) {
    const std::size_t dot = name.find('.');
    labels.push_back(name.substr(0, dot));
    name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
  }
  return labels;
}

std::optional<std::uint8_t> number_of(std::string_view digits, int base) {
  std::uint8_t number = 0;
  auto [end, problem] = std::from_chars(digits.begin(), digits.end(), number, base);
  if (problem != std::errc() || end != digits.end()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<Name> read_name(std::string_view message, std::size_t offset) {
  Name name;
  std::size_t used = 1;  // the root's empty label
  std::size_t start = offset;
  for (;;) {
    if (offset >= message.size()) return std::nullopt;
    const auto length = static_cast<std::uint8_t>(message[offset]);
    if ((length & 0xc0) == 0xc0) {
      if (message.size() - offset < 2) return std::nullopt;
      if (name.end == 0) name.end = offset + 2;
      offset = u16(message, offset) & 0x3fff;
      // Each lower than where the part began that it ends: no loop is longer than the message.
      if (offset < kHeaderSize || offset >= start) return std::nullopt;
      start = offset;
      continue;
    }
    if (length > kMaxLabel || message.size() - offset - 1 < length) return std::nullopt;
    if (length == 0) {
      if (name.end == 0) name.end = offset + 1;
      return name;
    }
    used += 1 + length;
    if (used > kMaxName) return std::nullopt;
    append_label(name.text, message.substr(offset + 1, length));
    offset += 1 + length;
  }
}

Parsed parse_query(std::string_view message) {
  Parsed parsed;
  if (message.size() < kHeaderSize || (u16(message, 2) & kResponse) != 0) return parsed;
  const std::uint16_t flags = u16(message, 2);
  parsed.verdict = Verdict::kRefuse;
  parsed.rcode = Rcode::kNotImplemented;
  if ((flags & kOpcode) != 0) return parsed;
  parsed.rcode = Rcode::kFormat;
  Query& query = parsed.query;
  query.id = id_of(message);
  query.recursion_desired = (flags & kRecursionDesired) != 0;
  query.checking_disabled = (flags & kCheckingDisabled) != 0;
  const auto name = read_name(message, kHeaderSize);
  if (u16(message, 4) != 1 || !name || message.size() - name->end < 4) return parsed;
  query.name = name->text;
  query.type = u16(message, name->end);
  query.klass = u16(message, name->end + 2);
  const std::size_t end = name->end + 4;
  query.question = message.substr(kHeaderSize, end - kHeaderSize);
  const int records = u16(message, 6) + u16(message, 8) + u16(message, 10);
  if (records > kMaxRecords || !read_records(message, end, records, query)) return parsed;
  parsed.rcode = Rcode::kNone;
  parsed.verdict = Verdict::kQuery;
  return parsed;
}

std::string error_answer(std::string_view message, Rcode rcode) {
  std::string answer(message.substr(0, 2));
  const std::uint16_t kept = u16(message, 2) & (kOpcode | kRecursionDesired | kCheckingDisabled);
  put16(answer, static_cast<std::uint16_t>(kept | kResponse | kRecursionAvailable | static_cast<std::uint16_t>(rcode)));
  answer.append(kHeaderSize - answer.size(), '\0');
  return answer;
}

Answer::Answer(const Query& query, Rcode rcode) : query_(query), rcode_(rcode) {}

void Answer::begin_record(std::uint16_t type, std::size_t size) {
  put16(records_, kNameOfQuestion);
  put16(records_, type);
  put16(records_, kInternet);
  put32(records_, kTtl);
  put16(records_, static_cast<std::uint16_t>(size));
  count_++;
}

void Answer::add(const Address& address) {
  begin_record(address.family == AF_INET ? kA : kAaaa, address.size());
  records_ += address.view();
}

void Answer::add_pointer(std::string_view name) {
  std::string bytes;
  for (std::string_view label : labels_of(name)) {
    bytes += static_cast<char>(label.size());
    bytes += label;
  }
  bytes += '\0';
  begin_record(kPtr, bytes.size());
  records_ += bytes;
}

std::string Answer::finish(std::size_t limit) const {
  const bool bad_version = query_.edns_version != 0;
  std::string edns;
  if (query_.has_edns) {
    edns += '\0';
    put16(edns, kOpt);
    put16(edns, kOurUdpSize);
    put32(edns, bad_version ? std::uint32_t{kBadVersion} << 24 : 0);
    put16(edns, 0);
  }
  const bool fits =
      kHeaderSize + query_.question.size() + records_.size() + edns.size() <= std::min(limit, kMaxMessage);
  const bool has_records = fits && !bad_version;
  std::uint16_t flags = kResponse | kAuthoritative | kRecursionAvailable;
  if (!fits) flags |= kTruncated;
  if (query_.recursion_desired) flags |= kRecursionDesired;
  if (query_.checking_disabled) flags |= kCheckingDisabled;
  if (!bad_version) flags |= static_cast<std::uint16_t>(rcode_);
  std::string message;
  put16(message, query_.id);
  put16(message, flags);
  put16(message, 1);
  put16(message, has_records ? count_ : 0);
  put16(message, 0);
  put16(message, query_.has_edns ? 1 : 0);
  message += query_.question;
  if (has_records) message += records_;
  return message + edns;
}

bool answers(std::string_view message, std::uint16_t id, std::string_view question) {
  if (message.size() < kHeaderSize || id_of(message) != id || (u16(message, 2) & kResponse) == 0) return false;
  const std::uint16_t questions = u16(message, 4);
  if (questions == 0) return rcode_of(message) != Rcode::kNone;
  // Nobody compresses the first name of a message. The case of its letters may be another than ours was.
  const std::string_view repeated = message.substr(kHeaderSize, question.size());
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return questions == 1 && repeated.size() == question.size() &&
         std::equal(repeated.begin(), repeated.end(), question.begin(),
                    [&](char one, char other) { return lower(one) == lower(other); });
}

std::uint16_t id_of(std::string_view message) { return u16(message, 0); }

void set_id(std::string& message, std::uint16_t id) {
  message[0] = static_cast<char>(id >> 8);
  message[1] = static_cast<char>(id & 0xff);
}

Rcode rcode_of(std::string_view message) { return static_cast<Rcode>(u16(message, 2) & kRcode); }

std::optional<Address> address_of_pointer(std::string_view name) {
  const auto labels = labels_of(name);
  const std::size_t count = labels.size();
  if (count < 2 || labels[count - 1] != "arpa") return std::nullopt;
  Address address;
  if (labels[count - 2] == "in-addr" && count == 6) {
    for (std::size_t i = 0; i < 4; i++) {
      const auto byte = number_of(labels[3 - i], 10);
      if (!byte) return std::nullopt;
      address.bytes[i] = *byte;
    }
    return address;
  }
  if (labels[count - 2] != "ip6" || count != 34) return std::nullopt;
  address.family = AF_INET6;
  for (std::size_t i = 0; i < 32; i++) {
    const auto digit = labels[31 - i].size() == 1 ? number_of(labels[31 - i], 16) : std::nullopt;
    if (!digit) return std::nullopt;
    address.bytes[i / 2] = static_cast<std::uint8_t>(address.bytes[i / 2] << 4 | *digit);
  }
  return address;
}

}  // namespace net::dns
