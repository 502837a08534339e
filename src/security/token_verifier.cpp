#include "security/token_verifier.hpp"

namespace detection::security {
namespace {

Result<KeyPointer> check_signature(std::string_view token, const TokenForm& form, const KeySet& keys) {
  const auto key = keys.find(form.kid);
  if (!key) return refused(form.kid ? "the token's key is unknown" : "the token must name its key (kid)");
  if (key->algorithm() != form.algorithm) return refused("the token's algorithm is not that of its key");
  if (!key->verify_jws(token)) return refused("the token's signature is wrong");
  return key;
}

}  // namespace

Result<TokenClaims> TokenVerifier::verify(std::string_view token, UtcMicros now) {
  const auto form = parse_token(token);
  if (!form) return std::unexpected(form.error());
  const auto keys = ring_.keys();
  auto signature = check_signature(token, *form, *keys);
  if (!signature && ring_.look_for_others_than(*keys)) signature = check_signature(token, *form, *ring_.keys());
  if (!signature) return std::unexpected(std::move(signature.error()));
  auto claims = check_claims(form->payload, rules_, now);
  if (claims) claims->principal.signed_by = *signature;
  return claims;
}

}  // namespace detection::security
