#pragma once
// Bearer tokens: JSON Web Tokens (RFC 7519) as JWS compact serialisation, HS256 by the key file. cjose verifies the
// signature; what it lets pass (reference: 19 hostile tokens) is refused here first: `crit`, duplicate or unknown-alg
// headers, padding, short keys. Claims: exp required, nbf and iat with 60 s of clock skew, scope as a space-separated
// list.

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

 private:
  static constexpr std::uint8_t bit(Scope scope) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(scope));
  }
  std::uint8_t bits_ = 0;
};

/// Who a request comes from.
struct Principal {
  std::string subject;
  ScopeSet scopes;
  UtcMicros expires{};
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

struct TokenRequest {
  std::string subject;
  std::string scope;  ///< space-separated; each must be a known scope
  std::chrono::seconds life{3600};
};
inline constexpr std::chrono::seconds kTokenLifeMost{24 * 3600};

/// An HS256 token with iss, sub, scope, iat, exp, jti.
[[nodiscard]] Result<std::string> mint_token(const HmacKey& key, const TokenRequest& request, UtcMicros now);

/// Verifies tokens and remembers those that were good, bounded and never past their end. Any thread.
class TokenVerifier {
 public:
  explicit TokenVerifier(HmacKey key);
  ~TokenVerifier();

  /// kUnauthorized with a reason that is safe to show ("the token has expired").
  [[nodiscard]] Result<std::shared_ptr<const Principal>> verify(std::string_view token, UtcMicros now);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::security
