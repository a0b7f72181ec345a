// SHA-256 and SHA-512 by libcrypto's low-level functions: the EVP interface would link OpenSSL's provider machinery
// into the static binary for the same assembly.
#pragma once

#include <openssl/sha.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace layer {

class Digest {
 public:
  // Of the algorithm that `expected`, a digest as text, was made with; SHA-256 when it is empty.
  explicit Digest(std::string_view expected = {});
  void update(std::span<const uint8_t> bytes);
  // The algorithm, ":" and hex digits. Called once, at the end.
  std::string text();

 private:
  std::variant<SHA256_CTX, SHA512_CTX> state_;
};

}  // namespace layer
