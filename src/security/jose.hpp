#pragma once
// RAII over the C libraries of this room (cjose, jansson), and base64url. Private to security/.

#include <cjose/cjose.h>
#include <jansson.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "security/token.hpp"

namespace detection::security {

struct Release {
  void operator()(cjose_jwk_t* jwk) const noexcept { cjose_jwk_release(jwk); }
  void operator()(cjose_jws_t* jws) const noexcept { cjose_jws_release(jws); }
  void operator()(cjose_header_t* header) const noexcept { cjose_header_release(header); }
};
using Jwk = std::unique_ptr<cjose_jwk_t, Release>;
using Jws = std::unique_ptr<cjose_jws_t, Release>;
using JoseHeader = std::unique_ptr<cjose_header_t, Release>;
using Json = JoseHeader;  // cjose's header is a jansson object

struct HmacKey::Impl {
  Jwk jwk;
  std::string id;  ///< kid: the first 16 hex digits of the key's SHA-256, which tells nothing of the key
};

/// Only the unpadded base64url alphabet (RFC 7515 section 2).
[[nodiscard]] std::optional<std::string> base64url_decode(std::string_view text);
/// An object without duplicate members, or nothing.
[[nodiscard]] Json parse_object(std::string_view text);

}  // namespace detection::security
