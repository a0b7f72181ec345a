// What a container sends to its resolver, and what a name server answers. The first two bytes are the size of the
// question, the rest are both messages.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/dns_message.h"

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

// Whatever was asked, our answer is one to that question, and a client's limit is kept where the question itself fits.
void answer_query(const net::dns::Query& query) {
  check(query.name.size() <= 4 * 255);
  for (const size_t limit : {size_t{0}, net::dns::kPlainUdp, net::dns::kMaxMessage}) {
    net::dns::Answer answer(query, net::dns::Rcode::kNoName);
    answer.add(net::Address{});
    answer.add_pointer("a.b");
    const std::string bytes = answer.finish(limit);
    check(bytes.size() <= net::dns::kHeaderSize + query.question.size() + 11 || bytes.size() <= limit);
    check(net::dns::answers(bytes, query.id, query.question));
    // The question was read once: it must be readable again, and the same.
    const auto name = net::dns::read_name(bytes, net::dns::kHeaderSize);
    check(name && name->text == query.name);
  }
  (void)net::dns::address_of_pointer(query.name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string_view message = rest.substr(0, static_cast<size_t>(data[0]) << 8 | data[1]);
  const std::string_view reply = rest.substr(message.size());
  const auto parsed = net::dns::parse_query(message);
  if (parsed.verdict == net::dns::Verdict::kRefuse) {
    check(net::dns::error_answer(message, parsed.rcode).size() == net::dns::kHeaderSize);
  }
  if (parsed.verdict == net::dns::Verdict::kQuery) {
    answer_query(parsed.query);
    if (net::dns::answers(reply, parsed.query.id, parsed.query.question)) (void)net::dns::rcode_of(reply);
  }
  for (size_t offset = 0; offset <= message.size(); offset++) {
    const auto name = net::dns::read_name(message, offset);
    check(!name || (name->end > offset && name->end <= message.size()));
  }
  return 0;
}
