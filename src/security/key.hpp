#pragma once
// One key of the ring: HMAC (HS256), RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA). The kind of the key decides the
// algorithm, never a token. cjose signs and verifies the first three; it refuses Ed25519, which OpenSSL does alone.
// Immutable: any thread. Private to security/.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "detection/error.hpp"
#include "detection/json_writer.hpp"
#include "security/jose.hpp"
#include "security/token.hpp"

namespace detection::security {

enum class Algorithm : std::uint8_t { kHs256, kRs256, kEs256, kEdDsa };
[[nodiscard]] std::string_view algorithm_name(Algorithm algorithm) noexcept;
/// As in the header of a token; "Ed25519" (RFC 9864) is the same as "EdDSA".
[[nodiscard]] std::optional<Algorithm> parse_algorithm(std::string_view name) noexcept;

class Key;
using KeyPointer = std::shared_ptr<const Key>;

class Key {
 public:
  /// The text of a key file: PEM, private or public, or else an HMAC key. kConfiguration with the reason and how to
  /// make one.
  [[nodiscard]] static Result<KeyPointer> from_text(std::string_view text);
  [[nodiscard]] static Result<KeyPointer> from_hmac_text(std::string_view text);
  [[nodiscard]] static Result<KeyPointer> from_pem(std::string_view text);

  struct Parts {
    Algorithm algorithm = Algorithm::kHs256;
    bool can_sign = false;
    Jwk jwk{};          ///< all but Ed25519
    EvpKey pkey{};      ///< all but HMAC
    std::string id{};   ///< the first 16 hex digits of a SHA-256 of the key, which tells nothing of it
    Digest labelled{};  ///< HMAC: the key of sign_text(), derived from it
  };
  explicit Key(Parts parts) : parts_(std::move(parts)) {}
  ~Key();
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  [[nodiscard]] Algorithm algorithm() const noexcept { return parts_.algorithm; }
  [[nodiscard]] bool symmetric() const noexcept { return parts_.algorithm == Algorithm::kHs256; }
  [[nodiscard]] bool can_sign() const noexcept { return parts_.can_sign; }
  [[nodiscard]] const std::string& id() const noexcept { return parts_.id; }

  /// The signature of a compact JWS whose form was checked and whose `alg` is this key's.
  [[nodiscard]] bool verify_jws(std::string_view token) const;
  [[nodiscard]] Result<std::string> sign_jws(std::string_view kid, std::string_view claims) const;

  /// Signatures over other texts: by a key derived for that alone, or with a label that no JWS begins with.
  [[nodiscard]] Result<std::string> sign_text(std::string_view text) const;
  [[nodiscard]] bool verify_text(std::string_view text, std::string_view signature) const;

  /// RFC 7517, RFC 8037; not for a symmetric one.
  void write_public_jwk(json::Writer& w, std::string_view kid) const;

 private:
  Parts parts_;
};

struct HmacKey::Impl {
  KeyPointer key;
};

/// As text for the end of an error.
inline constexpr std::string_view kHowToMakeHmac = "; make one with: openssl rand -base64 48 > FILE";
inline constexpr std::string_view kHowToMakePem =
    "; make one with: openssl genpkey -algorithm ed25519 -out FILE.pem (or -algorithm EC -pkeyopt "
    "ec_paramgen_curve:P-256, or -algorithm RSA -pkeyopt rsa_keygen_bits:3072)";

}  // namespace detection::security
