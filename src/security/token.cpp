#include "security/token.hpp"

#include <openssl/rand.h>
#include <openssl/sha.h>

#include <array>
#include <cmath>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "detection/json_writer.hpp"
#include "security/jose.hpp"

namespace detection::security {
namespace {

constexpr std::string_view kIssuer = "detection-api";
constexpr std::size_t kTokenBytesMost = 8192;
constexpr std::size_t kSubjectBytesMost = 128;
constexpr std::size_t kCacheEntriesMost = 4096;
constexpr std::int64_t kClockSkew_s = 60;

std::unexpected<Error> refused(std::string reason) {
  return fail(ErrorCode::kUnauthorized, std::move(reason));
}

/// Calls `each` for every word of a space-separated list.
template <class Each>
void for_each_word(std::string_view text, Each each) {
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// A NumericDate (RFC 7519 section 2) in seconds; nothing for another type or a number no clock will reach.
std::optional<std::int64_t> numeric_date(const json_t* value) {
  if (!json_is_number(value)) return std::nullopt;
  const double seconds = json_number_value(value);
  if (!(std::abs(seconds) < 1e12)) return std::nullopt;
  return static_cast<std::int64_t>(seconds);
}

/// What cjose lets pass and we do not (reference cpp.md 1.1).
Result<void> check_header(std::string_view encoded, const HmacKey::Impl& key) {
  const auto text = base64url_decode(encoded);
  const auto header = text ? parse_object(*text) : Json{};
  if (!header) return refused("the token's header is not base64url of a JSON object without duplicate members");
  const auto* algorithm = json_string_value(json_object_get(header.get(), "alg"));
  if (algorithm == nullptr || std::strcmp(algorithm, "HS256") != 0)
    return refused("the token's algorithm must be HS256");
  if (json_object_get(header.get(), "crit") != nullptr) return refused("the token has critical extensions");
  if (const auto* id = json_object_get(header.get(), "kid")) {
    const auto* name = json_string_value(id);
    if (name == nullptr || key.id != name) return refused("the token's key is unknown");
  }
  return {};
}

Result<Principal> check_claims(std::string_view payload, UtcMicros now) {
  const auto claims = parse_object(payload);
  if (!claims) return refused("the token's claims are not a JSON object without duplicate members");
  const std::int64_t now_s = now.count / 1'000'000;

  const auto* subject = json_object_get(claims.get(), "sub");
  if (!json_is_string(subject) || json_string_length(subject) == 0 || json_string_length(subject) > kSubjectBytesMost)
    return refused("the token needs a subject (sub) of 1 to 128 bytes");
  const auto expires = numeric_date(json_object_get(claims.get(), "exp"));
  if (!expires) return refused("the token needs an expiry (exp)");
  if (now_s >= *expires + kClockSkew_s) return refused("the token has expired");
  for (const auto* name : {"nbf", "iat"}) {
    const auto* value = json_object_get(claims.get(), name);
    if (value == nullptr) continue;
    const auto from = numeric_date(value);
    if (!from) return refused(std::string("the token's ") + name + " is not a time");
    if (now_s + kClockSkew_s < *from) return refused("the token is not valid yet");
  }
  Principal principal{json_string_value(subject), {}, {(*expires + kClockSkew_s) * 1'000'000}};
  if (const auto* scope = json_object_get(claims.get(), "scope")) {
    if (!json_is_string(scope)) return refused("the token's scope is not a text");
    for_each_word({json_string_value(scope), json_string_length(scope)}, [&](std::string_view word) {
      if (const auto known = parse_scope(word)) principal.scopes.add(*known);
    });
  }
  return principal;
}

Result<Principal> check_token(std::string_view token, const HmacKey::Impl& key, UtcMicros now) {
  if (token.size() > kTokenBytesMost) return refused("the token is too long");
  const auto first = token.find('.');
  const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return refused("the token is not of three parts");
  const auto payload = base64url_decode(token.substr(first + 1, second - first - 1));
  const auto signature = base64url_decode(token.substr(second + 1));
  if (!payload || !signature) return refused("the token is not base64url");
  if (auto header = check_header(token.substr(0, first), key); !header) return std::unexpected(header.error());

  cjose_err error{};
  const Jws jws(cjose_jws_import(token.data(), token.size(), &error));
  if (!jws || !cjose_jws_verify(jws.get(), key.jwk.get(), &error)) return refused("the token's signature is wrong");
  return check_claims(*payload, now);
}

std::string random_hex() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return {};
  std::string hex;
  for (const auto byte : bytes) {
    hex.push_back("0123456789abcdef"[byte >> 4]);
    hex.push_back("0123456789abcdef"[byte & 15]);
  }
  return hex;
}

}  // namespace

Result<std::string> mint_token(const HmacKey& key, const TokenRequest& request, UtcMicros now) {
  if (request.subject.empty() || request.subject.size() > kSubjectBytesMost)
    return fail(ErrorCode::kConfiguration, "the subject must have 1 to 128 bytes");
  for (const char c : request.subject)
    if (c < 0x20 || c > 0x7e) return fail(ErrorCode::kConfiguration, "the subject must be printable ASCII");
  if (request.life <= std::chrono::seconds{0} || request.life > kTokenLifeMost)
    return fail(ErrorCode::kConfiguration, "the life of a token must be over 0 and at most 24 h");
  std::string unknown;
  for_each_word(request.scope, [&](std::string_view word) {
    if (!parse_scope(word)) unknown = word;
  });
  if (!unknown.empty()) {
    std::string known;
    for (const Scope scope : kAllScopes) known.append(" ").append(scope_name(scope));
    return fail(ErrorCode::kConfiguration, "unknown scope '" + unknown + "'; there are:" + known);
  }
  const auto id = random_hex();
  if (id.empty()) return fail(ErrorCode::kInternal, "no randomness to be had");

  const std::int64_t now_s = now.count / 1'000'000;
  std::string claims;
  json::Writer w(claims);
  w.begin_object();
  w.key("iss");
  w.string(kIssuer);
  w.key("sub");
  w.string(request.subject);
  w.key("scope");
  w.string(request.scope);
  w.key("iat");
  w.integer(now_s);
  w.key("exp");
  w.integer(now_s + request.life.count());
  w.key("jti");
  w.string(id);
  w.end_object();

  cjose_err error{};
  const JoseHeader header(cjose_header_new(&error));
  if (!header || !cjose_header_set(header.get(), CJOSE_HDR_ALG, CJOSE_HDR_ALG_HS256, &error) ||
      !cjose_header_set(header.get(), CJOSE_HDR_KID, key.impl().id.c_str(), &error) ||
      !cjose_header_set(header.get(), "typ", "JWT", &error))
    return fail(ErrorCode::kInternal, "the token cannot be made");
  const Jws jws(cjose_jws_sign(key.impl().jwk.get(), header.get(), reinterpret_cast<const std::uint8_t*>(claims.data()),
                               claims.size(), &error));
  const char* text = nullptr;
  if (!jws || !cjose_jws_export(jws.get(), &text, &error))
    return fail(ErrorCode::kInternal, "the token cannot be signed");
  return std::string(text);
}

struct TokenVerifier::Impl {
  explicit Impl(HmacKey k) : key(std::move(k)) {}

  struct DigestHash {
    std::size_t operator()(const std::array<unsigned char, 32>& digest) const noexcept {
      std::size_t value = 0;  // a SHA-256 is spread well enough already
      std::memcpy(&value, digest.data(), sizeof value);
      return value;
    }
  };
  HmacKey key;
  std::shared_mutex mutex;
  // By the token's hash, so that a memory dump of the cache holds no token.
  std::unordered_map<std::array<unsigned char, 32>, std::shared_ptr<const Principal>, DigestHash> good;
};

TokenVerifier::TokenVerifier(HmacKey key) : impl_(std::make_unique<Impl>(std::move(key))) {}
TokenVerifier::~TokenVerifier() = default;

Result<std::shared_ptr<const Principal>> TokenVerifier::verify(std::string_view token, UtcMicros now) {
  std::array<unsigned char, 32> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  {
    const std::shared_lock lock(impl_->mutex);
    const auto found = impl_->good.find(digest);
    if (found != impl_->good.end() && now < found->second->expires) return found->second;
  }
  auto checked = check_token(token, impl_->key.impl(), now);
  if (!checked) return std::unexpected(std::move(checked.error()));
  auto principal = std::make_shared<const Principal>(std::move(*checked));
  const std::unique_lock lock(impl_->mutex);
  if (impl_->good.size() >= kCacheEntriesMost) impl_->good.clear();
  impl_->good[digest] = principal;
  return principal;
}

}  // namespace detection::security
