#include "store/sql/digest.hpp"

#include <openssl/evp.h>

#include <cstdlib>

namespace detection::store::sql {

Digest::Digest() : context_(EVP_MD_CTX_new()) {
  // Without memory or without SHA-256 there is no audit and so no store.
  if (context_ == nullptr || EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1) std::abort();
}

Digest::~Digest() {
  EVP_MD_CTX_free(context_);
}

Sha256 Digest::finish() {
  Sha256 out;
  // A null type keeps the algorithm that the context has fetched already.
  if (EVP_DigestUpdate(context_, buffer_.data(), buffer_.size()) != 1 ||
      EVP_DigestFinal_ex(context_, out.data(), nullptr) != 1 || EVP_DigestInit_ex(context_, nullptr, nullptr) != 1)
    std::abort();
  buffer_.clear();
  return out;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

}  // namespace detection::store::sql
