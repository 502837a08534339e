// Anything at all as a key file: it is refused with a reason, or it is a key that works.

#include <cstdlib>
#include <string>

#include "security/key.hpp"

namespace {

using namespace detection;
using namespace detection::security;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto key = Key::from_text(text);
  if (!key) {
    require(key.error().code == ErrorCode::kConfiguration && !key.error().detail.empty());
    return 0;
  }
  require((*key)->id().size() == 16);
  std::string jwk;
  json::Writer w(jwk);
  (*key)->write_public_jwk(w, "kid");
  require(jwk.empty() == (*key)->symmetric());
  if (!(*key)->can_sign()) return 0;
  const auto token = (*key)->sign_jws("kid", R"({"sub":"a"})");
  require(token.has_value() && (*key)->verify_jws(*token));
  const auto signature = (*key)->sign_text("a text");
  require(signature.has_value() && (*key)->verify_text("a text", *signature));
  return 0;
}
