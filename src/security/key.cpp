#include "security/key.hpp"

#include <openssl/core_names.h>

#include <cstring>

namespace detection::security {
namespace {

constexpr std::string_view kLabel = "detection-api: a signed text, not a token\n";

std::string labelled(std::string_view text) {
  std::string out(kLabel);  // spaces and a line end: no signing input of a JWS has them
  out.append(text);
  return out;
}

const EVP_MD* digest_of(Algorithm algorithm) {
  return algorithm == Algorithm::kEdDsa ? nullptr : EVP_sha256();
}

std::optional<std::string> evp_sign(EVP_PKEY* key, Algorithm algorithm, std::string_view text) {
  const CleanErrorQueue clean;
  const DigestContext context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, digest_of(algorithm), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes(text), text.size()) != 1)
    return std::nullopt;
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes(text),
                     text.size()) != 1)
    return std::nullopt;
  signature.resize(size);
  return signature;
}

bool evp_verify(EVP_PKEY* key, Algorithm algorithm, std::string_view text, std::string_view signature) {
  const CleanErrorQueue clean;
  const DigestContext context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest_of(algorithm), nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(text), text.size()) == 1;
}

std::string number(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return {};
  const BigNumber value(raw);
  std::string out(static_cast<std::size_t>(size > 0 ? size : BN_num_bytes(raw)), '\0');
  BN_bn2binpad(raw, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
  return out;
}

std::string jose_header(Algorithm algorithm, std::string_view kid) {
  std::string text;
  json::Writer w(text);
  w.begin_object();
  w.key("alg");
  w.string(algorithm_name(algorithm));
  w.key("kid");
  w.string(kid);
  w.key("typ");
  w.string("JWT");
  w.end_object();
  return text;
}

Result<std::string> cjose_sign(const cjose_jwk_t* jwk, Algorithm algorithm, std::string_view kid,
                               std::string_view claims) {
  const CleanErrorQueue clean;
  cjose_err error{};
  const JoseHeader header = parse_object(jose_header(algorithm, kid));
  if (!header) return fail(ErrorCode::kInternal, "the token cannot be made");
  const Jws jws(cjose_jws_sign(jwk, header.get(), bytes(claims), claims.size(), &error));
  const char* text = nullptr;
  if (!jws || !cjose_jws_export(jws.get(), &text, &error))
    return fail(ErrorCode::kInternal, "the token cannot be signed");
  return std::string(text);
}

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) noexcept {
  switch (algorithm) {
    case Algorithm::kHs256: return "HS256";
    case Algorithm::kRs256: return "RS256";
    case Algorithm::kEs256: return "ES256";
    case Algorithm::kEdDsa: return "EdDSA";
  }
  return "HS256";
}

std::optional<Algorithm> parse_algorithm(std::string_view name) noexcept {
  for (const auto algorithm : {Algorithm::kHs256, Algorithm::kRs256, Algorithm::kEs256, Algorithm::kEdDsa})
    if (algorithm_name(algorithm) == name) return algorithm;
  return name == "Ed25519" ? std::optional(Algorithm::kEdDsa) : std::nullopt;
}

Key::~Key() {
  OPENSSL_cleanse(parts_.labelled.data(), parts_.labelled.size());
}

Result<KeyPointer> Key::from_text(std::string_view text) {
  if (text.find("-----BEGIN") != std::string_view::npos) return from_pem(text);
  // A public key in DER taken for an HMAC key would be a secret that everybody knows.
  for (const char c : text)
    if (c == 0x7f || (c >= 0 && c < ' ' && c != '\n' && c != '\r' && c != '\t'))
      return fail(ErrorCode::kConfiguration,
                  "the file is neither text nor PEM (DER is not read)" + std::string(kHowToMakePem));
  return from_hmac_text(text);
}

bool Key::verify_jws(std::string_view token) const {
  const auto dot = token.rfind('.');
  if (dot == std::string_view::npos) return false;
  if (parts_.algorithm == Algorithm::kEdDsa) {
    const auto signature = base64url_decode(token.substr(dot + 1));
    return signature && evp_verify(parts_.pkey.get(), parts_.algorithm, token.substr(0, dot), *signature);
  }
  const CleanErrorQueue clean;
  cjose_err error{};
  const Jws jws(cjose_jws_import(token.data(), token.size(), &error));
  return jws && cjose_jws_verify(jws.get(), parts_.jwk.get(), &error);
}

Result<std::string> Key::sign_jws(std::string_view kid, std::string_view claims) const {
  if (!parts_.can_sign) return fail(ErrorCode::kInternal, "the key has no private part");
  if (parts_.algorithm != Algorithm::kEdDsa) return cjose_sign(parts_.jwk.get(), parts_.algorithm, kid, claims);
  auto token = base64url_encode(jose_header(parts_.algorithm, kid)) + "." + base64url_encode(claims);
  const auto signature = evp_sign(parts_.pkey.get(), parts_.algorithm, token);
  if (!signature) return fail(ErrorCode::kInternal, "the token cannot be signed");
  return token + "." + base64url_encode(*signature);
}

Result<std::string> Key::sign_text(std::string_view text) const {
  if (symmetric()) return base64url_encode(as_text(hmac_sha256(as_text(parts_.labelled), text)));
  if (!parts_.can_sign) return fail(ErrorCode::kInternal, "the key has no private part");
  const auto signature = evp_sign(parts_.pkey.get(), parts_.algorithm, labelled(text));
  if (!signature) return fail(ErrorCode::kInternal, "the text cannot be signed");
  return base64url_encode(*signature);
}

bool Key::verify_text(std::string_view text, std::string_view signature) const {
  const auto decoded = base64url_decode(signature);
  if (!decoded) return false;
  if (symmetric()) return same_secret(*decoded, as_text(hmac_sha256(as_text(parts_.labelled), text)));
  return evp_verify(parts_.pkey.get(), parts_.algorithm, labelled(text), *decoded);
}

void Key::write_public_jwk(json::Writer& w, std::string_view kid) const {
  if (symmetric()) return;
  EVP_PKEY* key = parts_.pkey.get();
  const auto member = [&w](std::string_view name, std::string_view value) {
    w.key(name);
    w.string(value);
  };
  w.begin_object();
  if (parts_.algorithm == Algorithm::kRs256) {
    member("kty", "RSA");
    member("n", base64url_encode(number(key, OSSL_PKEY_PARAM_RSA_N, 0)));
    member("e", base64url_encode(number(key, OSSL_PKEY_PARAM_RSA_E, 0)));
  } else if (parts_.algorithm == Algorithm::kEs256) {
    member("kty", "EC");
    member("crv", "P-256");
    member("x", base64url_encode(number(key, OSSL_PKEY_PARAM_EC_PUB_X, 32)));
    member("y", base64url_encode(number(key, OSSL_PKEY_PARAM_EC_PUB_Y, 32)));
  } else {
    std::string x(32, '\0');
    std::size_t size = x.size();
    EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(x.data()), &size);
    member("kty", "OKP");
    member("crv", "Ed25519");
    member("x", base64url_encode(x));
  }
  member("kid", kid);
  member("alg", algorithm_name(parts_.algorithm));
  member("use", "sig");
  w.key("key_ops");
  w.begin_array();
  w.string("verify");
  w.end_array();
  w.end_object();
}

}  // namespace detection::security
