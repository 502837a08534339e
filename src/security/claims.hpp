#pragma once
// The form and the claims of a token, without its signature. Everything that cjose lets pass and we do not (reference:
// 19 hostile tokens) is refused here, before it is called. Private to security/.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "security/key.hpp"

namespace detection::security {

inline constexpr std::size_t kTokenBytesMost = 8192;
inline constexpr std::size_t kJtiCharactersMost = 128;
inline constexpr std::int64_t kClockSkew_s = 60;
inline constexpr std::string_view kApiKeyPrefix = "dsk_";

/// kUnauthorized; the reason is safe to show.
[[nodiscard]] std::unexpected<Error> refused(std::string reason);

/// Three parts of base64url; a header without surprises.
struct TokenForm {
  Algorithm algorithm = Algorithm::kHs256;
  std::optional<std::string> kid{};  ///< a plain name
  std::string payload;
};
[[nodiscard]] Result<TokenForm> parse_token(std::string_view token);

/// A kid is a name of 1 to 64 of A-Z a-z 0-9 _ . - and nothing else; it is only ever looked up in a table.
[[nodiscard]] bool is_kid(std::string_view text) noexcept;

struct TokenRules {
  std::vector<std::string> issuers{};    ///< empty: kOwnName, and none
  std::vector<std::string> audiences{};  ///< empty: kOwnName, and none
};

struct TokenClaims {
  Principal principal;
  std::optional<UtcMicros> issued{};
};
/// To be called for a payload whose signature is good.
[[nodiscard]] Result<TokenClaims> check_claims(std::string_view payload, const TokenRules& rules, UtcMicros now);

/// The claims of a new token. kConfiguration for a subject, scope or life that cannot be.
[[nodiscard]] Result<std::string> make_claims(const TokenRequest& request, UtcMicros now);

}  // namespace detection::security
