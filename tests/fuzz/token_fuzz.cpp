// Anything at all as a bearer token: as the whole token, as its header and as its claims under a good signature.
// Nothing that was not signed is taken; what is taken keeps to the limits.

#include <cstdlib>
#include <string>

#include "security/claims.hpp"

namespace {

using namespace detection;
using namespace detection::security;

void require(bool condition) {
  if (!condition) std::abort();
}

const UtcMicros kNow{1'790'000'000'000'000};

void check_claims_of(std::string_view payload) {
  const auto claims = check_claims(payload, {}, kNow);
  if (!claims) {
    require(claims.error().code == ErrorCode::kUnauthorized && !claims.error().detail.empty());
    return;
  }
  const auto& who = claims->principal;
  require(!who.subject.empty() && who.subject.size() <= 128);
  require(who.jti.size() <= 4 * kJtiCharactersMost);  // bytes of UTF-8
  require(who.expires > kNow);
  require(who.api_key_id.empty() || who.api_key_id.size() == 16);
}

void check_form_of(std::string_view token, const Key& key) {
  const auto form = parse_token(token);
  if (!form) return;
  require(token.size() <= kTokenBytesMost);
  require(!form->kid || is_kid(*form->kid));
  require(form->algorithm != key.algorithm() || !key.verify_jws(token));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto key = Key::from_text("0f9c51e2a7b34d6688ce1b2a7d5f4e3c0f9c51e2").value();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_form_of(text, *key);
  check_form_of(base64url_encode(text) + ".e30." + base64url_encode(std::string(32, 'x')), *key);
  check_claims_of(text);
  if (const auto decoded = base64url_decode(text)) require(base64url_encode(*decoded) == text);
  return 0;
}
