#pragma once
// Makes JSON Web Tokens of any kind, good and hostile, with OpenSSL alone: none of the code under test.

#include <memory>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace detection::integration {

[[nodiscard]] std::string base64url(std::string_view bytes);

enum class KeyKind { kEc, kRsa, kEd25519 };

/// A fresh private key.
class SigningKey {
 public:
  explicit SigningKey(KeyKind kind);
  [[nodiscard]] std::string private_pem() const;
  [[nodiscard]] std::string public_pem() const;
  /// base64url of the JWS signature of that text.
  [[nodiscard]] std::string sign(std::string_view text) const;

 private:
  KeyKind kind_;
  std::shared_ptr<evp_pkey_st> key_;
};

/// HMAC with SHA-256 (or SHA-512), as base64url.
[[nodiscard]] std::string hmac(std::string_view key, std::string_view text, bool sha512 = false);

[[nodiscard]] inline std::string unsigned_token(std::string_view header_json, std::string_view claims_json) {
  return base64url(header_json) + "." + base64url(claims_json);
}
[[nodiscard]] inline std::string hmac_token(std::string_view header_json, std::string_view claims_json,
                                            std::string_view key, bool sha512 = false) {
  const auto text = unsigned_token(header_json, claims_json);
  return text + "." + hmac(key, text, sha512);
}
[[nodiscard]] inline std::string signed_token(std::string_view header_json, std::string_view claims_json,
                                              const SigningKey& key) {
  const auto text = unsigned_token(header_json, claims_json);
  return text + "." + key.sign(text);
}

}  // namespace detection::integration
