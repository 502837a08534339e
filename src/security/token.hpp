#pragma once
// What other rooms need of tokens: scopes, who a request comes from, the HMAC key of a file, and minting. Tokens are
// JSON Web Tokens (RFC 7519) as JWS compact serialisation; what is accepted is the affair of authority.hpp.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "detection/error.hpp"
#include "detection/time.hpp"

namespace detection::security {

enum class Scope : std::uint8_t { kDetectionsRead, kDetectionsWrite, kDetectionsVerify, kAuditRead, kAdmin };
inline constexpr Scope kAllScopes[] = {Scope::kDetectionsRead, Scope::kDetectionsWrite, Scope::kDetectionsVerify,
                                       Scope::kAuditRead, Scope::kAdmin};
/// "detections:write" and so on.
[[nodiscard]] std::string_view scope_name(Scope scope) noexcept;
[[nodiscard]] std::optional<Scope> parse_scope(std::string_view name) noexcept;

class ScopeSet {
 public:
  constexpr ScopeSet() = default;
  constexpr ScopeSet(std::initializer_list<Scope> scopes) {
    for (const Scope scope : scopes) add(scope);
  }
  constexpr void add(Scope scope) noexcept { bits_ = static_cast<std::uint8_t>(bits_ | bit(scope)); }
  [[nodiscard]] constexpr bool has(Scope scope) const noexcept { return (bits_ & bit(scope)) != 0; }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  /// Every scope of this one is in the other.
  [[nodiscard]] constexpr bool within(ScopeSet other) const noexcept { return (bits_ & ~other.bits_) == 0; }
  friend constexpr bool operator==(ScopeSet, ScopeSet) = default;

 private:
  static constexpr std::uint8_t bit(Scope scope) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(scope));
  }
  std::uint8_t bits_ = 0;
};

/// Space-separated (RFC 6749 section 3.3), in the order of kAllScopes.
[[nodiscard]] std::string scope_list(ScopeSet scopes);
/// The first word that is no scope fails it: kValidationFailed on "scope", naming those there are.
[[nodiscard]] Result<ScopeSet> parse_scope_list(std::string_view text);

/// Who a request comes from.
struct Principal {
  std::string subject;
  ScopeSet scopes;
  UtcMicros expires{};
  std::string jti{};         ///< of a token that has one
  std::string api_key_id{};  ///< where it was an API key, or a token that one was granted
  // What it rests on, for Authority::good_until.
  std::weak_ptr<const void> signed_by{};                        ///< of a token: its key in the ring
  std::optional<std::array<std::uint8_t, 32>> secret_sha256{};  ///< of an API key: that of the secret it was used with
};

/// An HMAC key: at least 32 bytes, not one of the well-known examples.
class HmacKey {
 public:
  /// The text of the file without surrounding white space is the key. The error says how to make one.
  [[nodiscard]] static Result<HmacKey> from_file(const std::filesystem::path& path);
  [[nodiscard]] static Result<HmacKey> from_text(std::string_view text);
  HmacKey(HmacKey&&) noexcept;
  HmacKey& operator=(HmacKey&&) noexcept;
  ~HmacKey();

  struct Impl;
  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

 private:
  explicit HmacKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// True when others than the owner and group may write the file (worth a warning).
[[nodiscard]] bool writable_by_others(const std::filesystem::path& path);

/// Our own name as `iss` and `aud`.
inline constexpr std::string_view kOwnName = "detection-api";

struct TokenRequest {
  std::string subject;
  std::string scope;  ///< space-separated; each must be a known scope
  std::chrono::seconds life{3600};
  std::string issuer{kOwnName};
  std::string audience{};   ///< empty: none
  std::string client_id{};  ///< of the API key it is granted to; empty: none
};
inline constexpr std::chrono::seconds kTokenLifeMost{24 * 3600};

/// An HS256 token with iss, sub, scope, iat, exp, jti; its kid is that under which every key ring knows the key.
[[nodiscard]] Result<std::string> mint_token(const HmacKey& key, const TokenRequest& request, UtcMicros now);

}  // namespace detection::security
