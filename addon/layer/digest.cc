// The low-level functions are deprecated in OpenSSL 3 in favour of EVP, not removed; digest.h says why they are used.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "layer/digest.h"

#include <array>

namespace layer {
namespace {

std::string in_hex(std::string text, std::span<const unsigned char> sum) {
  constexpr const char* kHex = "0123456789abcdef";
  for (const unsigned char byte : sum) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

}  // namespace

Digest::Digest(std::string_view expected) {
  if (expected.starts_with("sha512:")) {
    SHA512_Init(&state_.emplace<SHA512_CTX>());
  } else {
    SHA256_Init(&state_.emplace<SHA256_CTX>());
  }
}

void Digest::update(std::span<const uint8_t> bytes) {
  if (auto* state = std::get_if<SHA512_CTX>(&state_)) {
    SHA512_Update(state, bytes.data(), bytes.size());
  } else {
    SHA256_Update(std::get_if<SHA256_CTX>(&state_), bytes.data(), bytes.size());
  }
}

std::string Digest::text() {
  if (auto* state = std::get_if<SHA512_CTX>(&state_)) {
    std::array<unsigned char, SHA512_DIGEST_LENGTH> sum;
    SHA512_Final(sum.data(), state);
    return in_hex("sha512:", sum);
  }
  std::array<unsigned char, SHA256_DIGEST_LENGTH> sum;
  SHA256_Final(sum.data(), std::get_if<SHA256_CTX>(&state_));
  return in_hex("sha256:", sum);
}

}  // namespace layer
