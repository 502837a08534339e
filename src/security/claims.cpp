#include "security/claims.hpp"

#include <algorithm>
#include <cmath>

#include "detection/text.hpp"

namespace detection::security {
namespace {

constexpr std::size_t kSubjectBytesMost = 128;
constexpr std::size_t kKidBytesMost = 64;
constexpr std::size_t kApiKeyIdBytes = 16;

/// A header member that brings or fetches a key, or changes what is signed.
constexpr const char* kForbiddenMembers[] = {"crit", "b64", "jwk", "jku", "x5u", "x5c"};

std::optional<std::string_view> text_of(const json_t* value) {
  if (!json_is_string(value)) return std::nullopt;
  return std::string_view(json_string_value(value), json_string_length(value));
}

/// A NumericDate (RFC 7519 section 2) in seconds; nothing for another type or a number no clock will reach.
std::optional<std::int64_t> numeric_date(const json_t* value) {
  if (!json_is_number(value)) return std::nullopt;
  const double seconds = json_number_value(value);
  if (!(std::abs(seconds) < 1e12)) return std::nullopt;
  return static_cast<std::int64_t>(seconds);
}

bool is_one_of(std::string_view text, const std::vector<std::string>& accepted) {
  return accepted.empty() ? text == kOwnName : std::find(accepted.begin(), accepted.end(), text) != accepted.end();
}

Result<TokenForm> check_header(std::string_view encoded) {
  const auto text = base64url_decode(encoded);
  const auto header = text ? parse_object(*text) : Json{};
  if (!header) return refused("the token's header is not base64url of a JSON object without duplicate members");
  for (const auto* name : kForbiddenMembers)
    if (json_object_get(header.get(), name) != nullptr)
      return refused(std::string("the token's header must not have ") + name);
  const auto name = text_of(json_object_get(header.get(), "alg"));
  const auto algorithm = name ? parse_algorithm(*name) : std::nullopt;
  if (!algorithm) return refused("the token's algorithm must be HS256, RS256, ES256 or EdDSA");
  TokenForm form{*algorithm, {}, {}};
  if (const auto* id = json_object_get(header.get(), "kid")) {
    const auto kid = text_of(id);
    if (!kid || !is_kid(*kid)) return refused("the token's key is unknown");
    form.kid = std::string(*kid);
  }
  return form;
}

Result<void> check_issuer(const json_t* claims, const TokenRules& rules) {
  const auto* issuer = json_object_get(claims, "iss");
  if (issuer == nullptr && rules.issuers.empty()) return {};
  const auto text = text_of(issuer);
  if (!text || !is_one_of(*text, rules.issuers)) return refused("the token is of another issuer (iss)");
  return {};
}

Result<void> check_audience(const json_t* claims, const TokenRules& rules) {
  const auto* audience = json_object_get(claims, "aud");
  if (audience == nullptr && rules.audiences.empty()) return {};
  bool meant = false;
  if (const auto text = text_of(audience)) meant = is_one_of(*text, rules.audiences);
  for (std::size_t i = 0; json_is_array(audience) && i < json_array_size(audience); ++i) {
    const auto text = text_of(json_array_get(audience, i));
    if (!text) return refused("the token's audience (aud) is neither a text nor a list of texts");
    meant = meant || is_one_of(*text, rules.audiences);
  }
  if (!meant) return refused("the token is meant for another audience (aud)");
  return {};
}

/// exp, nbf, iat; fills in when the principal ends and when it was issued.
Result<void> check_times(const json_t* claims, UtcMicros now, TokenClaims& out) {
  const std::int64_t now_s = now.count / 1'000'000;
  const auto expires = numeric_date(json_object_get(claims, "exp"));
  if (!expires) return refused("the token needs an expiry (exp)");
  if (now_s >= *expires + kClockSkew_s) return refused("the token has expired");
  for (const auto* name : {"nbf", "iat"}) {
    const auto* value = json_object_get(claims, name);
    if (value == nullptr) continue;
    const auto from = numeric_date(value);
    if (!from) return refused(std::string("the token's ") + name + " is not a time");
    if (now_s + kClockSkew_s < *from) return refused("the token is not valid yet");
    if (*name == 'i') out.issued = UtcMicros{*from * 1'000'000};
  }
  out.principal.expires = {(*expires + kClockSkew_s) * 1'000'000};
  return {};
}

/// The API key that the token was granted to. What foreign issuers put there is no id of ours.
std::string api_key_of(const json_t* claims) {
  const auto client = text_of(json_object_get(claims, "client_id"));
  if (!client || !client->starts_with(kApiKeyPrefix) || client->size() != kApiKeyPrefix.size() + kApiKeyIdBytes)
    return {};
  return std::string(client->substr(kApiKeyPrefix.size()));
}

}  // namespace

std::unexpected<Error> refused(std::string reason) {
  return fail(ErrorCode::kUnauthorized, std::move(reason));
}

bool is_kid(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kKidBytesMost && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

Result<TokenForm> parse_token(std::string_view token) {
  if (token.size() > kTokenBytesMost) return refused("the token is too long");
  const auto first = token.find('.');
  const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return refused("the token is not of three parts");
  const auto signature = token.substr(second + 1);
  if (signature.empty()) return refused("the token has no signature");
  auto form = check_header(token.substr(0, first));
  if (!form) return form;
  auto payload = base64url_decode(token.substr(first + 1, second - first - 1));
  if (!payload || !base64url_decode(signature)) return refused("the token is not base64url");
  form->payload = std::move(*payload);
  return form;
}

Result<TokenClaims> check_claims(std::string_view payload, const TokenRules& rules, UtcMicros now) {
  const auto claims = parse_object(payload);
  if (!claims) return refused("the token's claims are not a JSON object without duplicate members");
  const auto member = [&](const char* name) { return json_object_get(claims.get(), name); };

  const auto subject = text_of(member("sub"));
  if (!subject || subject->empty() || subject->size() > kSubjectBytesMost || !printable_characters(*subject))
    return refused("the token needs a subject (sub) of 1 to 128 bytes without control characters");
  TokenClaims out;
  if (auto fine = check_times(claims.get(), now, out); !fine) return std::unexpected(std::move(fine.error()));
  if (auto fine = check_issuer(claims.get(), rules); !fine) return std::unexpected(std::move(fine.error()));
  if (auto fine = check_audience(claims.get(), rules); !fine) return std::unexpected(std::move(fine.error()));
  out.principal.subject = *subject;
  if (const auto* jti = member("jti")) {
    const auto text = text_of(jti);
    // What could not be revoked is not taken.
    const auto characters = text ? printable_characters(*text).value_or(0) : 0;
    if (characters == 0 || characters > kJtiCharactersMost)
      return refused("the token's id (jti) is not a text of 1 to 128 characters without control characters");
    out.principal.jti = *text;
  }
  if (const auto* scope = member("scope")) {
    const auto text = text_of(scope);
    if (!text) return refused("the token's scope is not a text");
    // Scopes that are not ours mean nothing here.
    for (auto rest = *text; !rest.empty();) {
      const auto end = std::min(rest.find(' '), rest.size());
      if (const auto known = parse_scope(rest.substr(0, end))) out.principal.scopes.add(*known);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  out.principal.api_key_id = api_key_of(claims.get());
  return out;
}

Result<std::string> make_claims(const TokenRequest& request, UtcMicros now) {
  if (request.subject.empty() || request.subject.size() > kSubjectBytesMost)
    return fail(ErrorCode::kConfiguration, "the subject must have 1 to 128 bytes");
  for (const char c : request.subject)
    if (c < 0x20 || c > 0x7e) return fail(ErrorCode::kConfiguration, "the subject must be printable ASCII");
  if (request.life <= std::chrono::seconds{0} || request.life > kTokenLifeMost)
    return fail(ErrorCode::kConfiguration, "the life of a token must be over 0 and at most 24 h");
  if (auto scopes = parse_scope_list(request.scope); !scopes)
    return fail(ErrorCode::kConfiguration, std::move(scopes.error().detail));
  const auto id = random_bytes(16);
  if (!id) return fail(ErrorCode::kInternal, "no randomness to be had");

  const std::int64_t now_s = now.count / 1'000'000;
  std::string claims;
  json::Writer w(claims);
  const auto member = [&w](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    w.key(name);
    w.string(value);
  };
  w.begin_object();
  member("iss", request.issuer);
  member("aud", request.audience);
  member("sub", request.subject);
  member("client_id", request.client_id);
  w.key("scope");
  w.string(request.scope);
  w.key("iat");
  w.integer(now_s);
  w.key("exp");
  w.integer(now_s + request.life.count());
  member("jti", hex(*id));
  w.end_object();
  return claims;
}

Result<std::string> mint_token(const HmacKey& key, const TokenRequest& request, UtcMicros now) {
  const auto claims = make_claims(request, now);
  if (!claims) return std::unexpected(claims.error());
  return key.impl().key->sign_jws(key.impl().key->id(), *claims);
}

}  // namespace detection::security
