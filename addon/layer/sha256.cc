// The low-level functions are deprecated in OpenSSL 3 in favour of EVP, not removed; sha256.h says why they are used.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "layer/sha256.h"

#include <array>

namespace layer {

Sha256::Sha256() : state_{} { SHA256_Init(&state_); }

void Sha256::update(std::span<const uint8_t> bytes) { SHA256_Update(&state_, bytes.data(), bytes.size()); }

std::string Sha256::digest() {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> sum;
  SHA256_Final(sum.data(), &state_);
  constexpr const char* kHex = "0123456789abcdef";
  std::string text = "sha256:";
  for (const unsigned char byte : sum) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

}  // namespace layer
