// SHA-256 by libcrypto's low-level functions: the EVP interface would link OpenSSL's provider machinery into the static
// binary for the same assembly.
#pragma once

#include <openssl/sha.h>

#include <cstdint>
#include <span>
#include <string>

namespace layer {

class Sha256 {
 public:
  Sha256();
  void update(std::span<const uint8_t> bytes);
  // "sha256:" and 64 hex digits. Called once, at the end.
  std::string digest();

 private:
  SHA256_CTX state_;
};

}  // namespace layer
