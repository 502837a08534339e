#include "integration/support/forge.hpp"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <stdexcept>
#include <vector>

namespace detection::integration {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(memory);
  return text;
}

EVP_PKEY* make(KeyKind kind) {
  switch (kind) {
    case KeyKind::kEc: return EVP_EC_gen("P-256");
    case KeyKind::kRsa: return EVP_RSA_gen(2048);
    case KeyKind::kEd25519: return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  }
  return nullptr;
}

/// JWS wants the two numbers themselves, 32 bytes each (RFC 7518 section 3.4), not their DER.
std::string raw_signature(const std::vector<unsigned char>& der) {
  const auto* at = der.data();
  ECDSA_SIG* numbers = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  if (numbers == nullptr) throw std::runtime_error("no ECDSA signature");
  std::string raw(64, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(numbers), out, 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(numbers), out + 32, 32);
  ECDSA_SIG_free(numbers);
  return raw;
}

}  // namespace

std::string base64url(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const auto size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes_of(bytes), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  while (text.ends_with('=')) text.pop_back();
  for (auto& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

SigningKey::SigningKey(KeyKind kind) : kind_(kind), key_(make(kind), EVP_PKEY_free) {
  if (!key_) throw std::runtime_error("no key could be made");
}

std::string SigningKey::private_pem() const {
  auto* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_PKCS8PrivateKey(memory, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(memory);
}

std::string SigningKey::public_pem() const {
  auto* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(memory, key_.get());
  return text_of(memory);
}

std::string SigningKey::sign(std::string_view text) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const auto* digest = kind_ == KeyKind::kEd25519 ? nullptr : EVP_sha256();
  std::size_t size = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(text), text.size()) != 1)
    throw std::runtime_error("cannot sign");
  std::vector<unsigned char> signature(size);
  if (EVP_DigestSign(context.get(), signature.data(), &size, bytes_of(text), text.size()) != 1)
    throw std::runtime_error("cannot sign");
  signature.resize(size);
  if (kind_ == KeyKind::kEc) return base64url(raw_signature(signature));
  return base64url({reinterpret_cast<const char*>(signature.data()), signature.size()});
}

std::string hmac(std::string_view key, std::string_view text, bool sha512) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(sha512 ? EVP_sha512() : EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(text), text.size(),
       digest.data(), &size);
  return base64url({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace detection::integration
