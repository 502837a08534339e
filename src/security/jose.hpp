#pragma once
// RAII over the C libraries of this room (cjose, jansson, OpenSSL), base64url, SHA-256, randomness. Private to
// security/.

#include <cjose/cjose.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace detection::security {

struct Release {
  void operator()(cjose_jwk_t* jwk) const noexcept { cjose_jwk_release(jwk); }
  void operator()(cjose_jws_t* jws) const noexcept { cjose_jws_release(jws); }
  void operator()(cjose_header_t* header) const noexcept { cjose_header_release(header); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
  void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
  void operator()(BIGNUM* number) const noexcept { BN_clear_free(number); }
};
using Jwk = std::unique_ptr<cjose_jwk_t, Release>;
using Jws = std::unique_ptr<cjose_jws_t, Release>;
using JoseHeader = std::unique_ptr<cjose_header_t, Release>;
using Json = JoseHeader;  // cjose's header is a jansson object
using EvpKey = std::unique_ptr<EVP_PKEY, Release>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Release>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Release>;
using Bio = std::unique_ptr<BIO, Release>;
using BigNumber = std::unique_ptr<BIGNUM, Release>;

/// Leaves OpenSSL's error queue of this thread empty: what a refused token left there would be taken for a failure of
/// the next TLS read on the same thread.
class CleanErrorQueue {
 public:
  CleanErrorQueue() = default;
  ~CleanErrorQueue();
  CleanErrorQueue(const CleanErrorQueue&) = delete;
  CleanErrorQueue& operator=(const CleanErrorQueue&) = delete;
};

/// Overwrites a buffer when it goes out of scope.
template <class Buffer>
class Cleansed {
 public:
  explicit Cleansed(Buffer& buffer) : buffer_(buffer) {}
  ~Cleansed() {
    if (!buffer_.empty()) OPENSSL_cleanse(buffer_.data(), buffer_.size());
  }
  Cleansed(const Cleansed&) = delete;
  Cleansed& operator=(const Cleansed&) = delete;

 private:
  Buffer& buffer_;
};

using Digest = std::array<std::uint8_t, 32>;
[[nodiscard]] Digest sha256(std::string_view text);
[[nodiscard]] Digest hmac_sha256(std::string_view key, std::string_view text);
[[nodiscard]] inline std::string_view as_text(const Digest& digest) noexcept {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}
[[nodiscard]] inline const unsigned char* bytes(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}
/// In constant time, for equal sizes.
[[nodiscard]] bool same_secret(std::string_view a, std::string_view b) noexcept;

/// Nothing when there is no randomness to be had.
[[nodiscard]] std::optional<std::string> random_bytes(std::size_t count);
[[nodiscard]] std::string hex(std::string_view bytes);

[[nodiscard]] bool is_base64url(std::string_view text) noexcept;
/// Unpadded (RFC 7515 section 2).
[[nodiscard]] std::string base64url_encode(std::string_view bytes);
/// Only the unpadded alphabet, and only the canonical text of the bytes: unused bits are 0 (RFC 4648 section 3.5), so
/// that a token has one form.
[[nodiscard]] std::optional<std::string> base64url_decode(std::string_view text);
/// An object without duplicate members, or nothing.
[[nodiscard]] Json parse_object(std::string_view text);

}  // namespace detection::security
