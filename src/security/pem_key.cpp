// PEM files (private or public) into keys: read by OpenSSL, the numbers handed to cjose.

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <vector>

#include "security/key.hpp"

namespace detection::security {
namespace {

constexpr int kRsaBitsLeast = 2048;
constexpr int kRsaBitsMost = 8192;  // each check of a larger one would be work for an attacker to ask for

std::unexpected<Error> unusable(std::string reason) {
  return fail(ErrorCode::kConfiguration, std::move(reason) + std::string(kHowToMakePem));
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++found;
  return found;
}

/// Nobody is there to be asked for a password, and OpenSSL would ask the terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

EvpKey read_pem(std::string_view text, bool is_private) {
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) return {};
  return EvpKey(is_private ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr)
                           : PEM_read_bio_PUBKEY(bio.get(), nullptr, no_password, nullptr));
}

/// One number of a key as big-endian bytes, overwritten at the end.
class Number {
 public:
  Number(EVP_PKEY* key, const char* name, int size = 0) {
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return;
    const BigNumber value(raw);
    bytes_.resize(static_cast<std::size_t>(size > 0 ? size : BN_num_bytes(raw)));
    if (BN_bn2binpad(raw, bytes_.data(), static_cast<int>(bytes_.size())) < 0) bytes_.clear();
  }
  ~Number() {
    if (!bytes_.empty()) OPENSSL_cleanse(bytes_.data(), bytes_.size());
  }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
  void put(std::uint8_t*& data, std::size_t& size) {
    data = bytes_.empty() ? nullptr : bytes_.data();
    size = bytes_.size();
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

Jwk rsa_jwk(EVP_PKEY* key, bool is_private) {
  cjose_jwk_rsa_keyspec spec{};
  Number n(key, OSSL_PKEY_PARAM_RSA_N), e(key, OSSL_PKEY_PARAM_RSA_E);
  n.put(spec.n, spec.nlen);
  e.put(spec.e, spec.elen);
  cjose_err error{};
  if (!is_private) return Jwk(cjose_jwk_create_RSA_spec(&spec, &error));
  Number d(key, OSSL_PKEY_PARAM_RSA_D), p(key, OSSL_PKEY_PARAM_RSA_FACTOR1), q(key, OSSL_PKEY_PARAM_RSA_FACTOR2),
      dp(key, OSSL_PKEY_PARAM_RSA_EXPONENT1), dq(key, OSSL_PKEY_PARAM_RSA_EXPONENT2),
      qi(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
  d.put(spec.d, spec.dlen);
  p.put(spec.p, spec.plen);
  q.put(spec.q, spec.qlen);
  dp.put(spec.dp, spec.dplen);
  dq.put(spec.dq, spec.dqlen);
  qi.put(spec.qi, spec.qilen);
  return Jwk(cjose_jwk_create_RSA_spec(&spec, &error));
}

Jwk ec_jwk(EVP_PKEY* key, bool is_private) {
  constexpr int kBytes = 32;
  cjose_jwk_ec_keyspec spec{};
  spec.crv = CJOSE_JWK_EC_P_256;
  Number x(key, OSSL_PKEY_PARAM_EC_PUB_X, kBytes), y(key, OSSL_PKEY_PARAM_EC_PUB_Y, kBytes);
  x.put(spec.x, spec.xlen);
  y.put(spec.y, spec.ylen);
  cjose_err error{};
  if (!is_private) return Jwk(cjose_jwk_create_EC_spec(&spec, &error));
  Number d(key, OSSL_PKEY_PARAM_PRIV_KEY, kBytes);
  d.put(spec.d, spec.dlen);
  return Jwk(cjose_jwk_create_EC_spec(&spec, &error));
}

/// Public numbers that are none of such a key, or a private part that is another key's.
bool consistent(EVP_PKEY* key, bool is_private) {
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return context && EVP_PKEY_public_check(context.get()) == 1 &&
         (!is_private || EVP_PKEY_pairwise_check(context.get()) == 1);
}

Result<Key::Parts> rsa_parts(EvpKey key, bool is_private) {
  const int bits = EVP_PKEY_get_bits(key.get());
  if (bits < kRsaBitsLeast || bits > kRsaBitsMost)
    return unusable("the RSA key has " + std::to_string(bits) + " bits; it needs at least " +
                    std::to_string(kRsaBitsLeast) + " and at most " + std::to_string(kRsaBitsMost));
  if (!consistent(key.get(), is_private)) return unusable("the RSA key's numbers do not fit each other");
  Key::Parts parts{Algorithm::kRs256, is_private, rsa_jwk(key.get(), is_private), std::move(key)};
  return parts;
}

Result<Key::Parts> ec_parts(EvpKey key, bool is_private) {
  std::string curve(64, '\0');
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key.get(), curve.data(), curve.size(), &size) != 1) size = 0;
  curve.resize(size);
  if (curve != "prime256v1")
    return unusable("the curve is " + (curve.empty() ? "not a named one" : curve) + "; only P-256 (ES256) is taken");
  if (!consistent(key.get(), is_private)) return unusable("the P-256 key's numbers do not fit each other");
  Key::Parts parts{Algorithm::kEs256, is_private, ec_jwk(key.get(), is_private), std::move(key)};
  return parts;
}

Result<Key::Parts> parts_of(EvpKey key, bool is_private) {
  if (EVP_PKEY_is_a(key.get(), "RSA") == 1) return rsa_parts(std::move(key), is_private);
  if (EVP_PKEY_is_a(key.get(), "EC") == 1) return ec_parts(std::move(key), is_private);
  if (EVP_PKEY_is_a(key.get(), "ED25519") == 1) {
    Key::Parts parts{Algorithm::kEdDsa, is_private, {}, std::move(key)};
    return parts;
  }
  const char* type = EVP_PKEY_get0_type_name(key.get());
  return unusable("the key is of the kind " + std::string(type != nullptr ? type : "unknown") +
                  "; only P-256, RSA and Ed25519 are taken");
}

std::string fingerprint(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return {};
  const auto digest = sha256({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return hex(as_text(digest).substr(0, 8));
}

}  // namespace

Result<KeyPointer> Key::from_pem(std::string_view text) {
  const CleanErrorQueue clean;
  if (count(text, "KEY-----") == 0) return unusable("the PEM file holds no key");
  if (count(text, "-----BEGIN ") != count(text, "-----END ")) return unusable("the PEM file is cut off");
  if (count(text, "KEY-----") != 2) return unusable("the PEM file holds more than one key");
  if (count(text, "ENCRYPTED") > 0) return unusable("the PEM file is encrypted with a password");
  const bool is_private = count(text, "PRIVATE KEY-----") > 0;
  auto key = read_pem(text, is_private);
  if (!key) return unusable("the PEM file cannot be read as a key");
  auto parts = parts_of(std::move(key), is_private);
  if (!parts) return std::unexpected(std::move(parts.error()));
  parts->id = fingerprint(parts->pkey.get());
  if (parts->id.empty() || (parts->algorithm != Algorithm::kEdDsa && !parts->jwk))
    return unusable("the key cannot be used");
  return std::make_shared<const Key>(std::move(*parts));
}

}  // namespace detection::security
