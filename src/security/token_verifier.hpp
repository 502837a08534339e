#pragma once
// A token against the key ring: its form, its key, its signature, its claims. No cache and no revocations here.
// Private to security/.

#include "security/claims.hpp"
#include "security/key_ring.hpp"

namespace detection::security {

class TokenVerifier {
 public:
  TokenVerifier(KeyRing& ring, TokenRules rules) : ring_(ring), rules_(std::move(rules)) {}

  /// kUnauthorized with a reason that is safe to show.
  [[nodiscard]] Result<TokenClaims> verify(std::string_view token, UtcMicros now);

 private:
  KeyRing& ring_;
  const TokenRules rules_;
};

}  // namespace detection::security
