#include "security/jose.hpp"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstdlib>

namespace detection::security {
namespace {

constexpr std::int8_t kNone = -1;

constexpr std::array<std::int8_t, 256> alphabet() {
  std::array<std::int8_t, 256> values{};
  values.fill(kNone);
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (std::size_t i = 0; i < letters.size(); ++i)
    values[static_cast<unsigned char>(letters[i])] = static_cast<std::int8_t>(i);
  return values;
}
constexpr auto kValues = alphabet();

int value_of(char c) noexcept {
  return kValues[static_cast<unsigned char>(c)];
}

/// Fetched once: EVP_sha256() is looked up anew, under a lock, at each use.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

}  // namespace

CleanErrorQueue::~CleanErrorQueue() {
  ERR_clear_error();
}

Digest sha256(std::string_view text) {
  static thread_local const DigestContext context(EVP_MD_CTX_new());
  Digest digest{};
  unsigned size = 0;
  // Fails only without memory; a digest of a failure must not look like any other.
  if (!context || EVP_DigestInit_ex2(context.get(), sha256_algorithm(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), text.data(), text.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), &size) != 1)
    std::abort();
  return digest;
}

Digest hmac_sha256(std::string_view key, std::string_view text) {
  Digest mac{};
  unsigned size = 0;
  if (HMAC(sha256_algorithm(), key.data(), static_cast<int>(key.size()), bytes(text), text.size(), mac.data(), &size) ==
      nullptr)
    std::abort();
  return mac;
}

bool same_secret(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<std::string> random_bytes(std::size_t count) {
  std::string out(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) != 1) return std::nullopt;
  return out;
}

std::string hex(std::string_view bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char c : bytes) {
    out.push_back("0123456789abcdef"[static_cast<unsigned char>(c) >> 4]);
    out.push_back("0123456789abcdef"[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

bool is_base64url(std::string_view text) noexcept {
  int seen = 0;  // negative once a foreign character was
  for (const char c : text) seen |= value_of(c);
  return seen >= 0;
}

std::string base64url_encode(std::string_view bytes) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  out.reserve((4 * bytes.size() + 2) / 3);
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : bytes) {
    held = held << 8 | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(letters[held >> (bits - 6) & 63]);
  }
  if (bits > 0) out.push_back(letters[held << (6 - bits) & 63]);
  return out;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  if (!is_base64url(text) || text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(3 * text.size() / 4 + 1);
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : text) {
    held = held << 6 | static_cast<std::uint32_t>(value_of(c));
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<char>(held >> bits & 255));
  }
  if ((held & ((1U << bits) - 1)) != 0) return std::nullopt;
  return out;
}

Json parse_object(std::string_view text) {
  json_error_t error{};
  Json json(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, &error));
  if (json && !json_is_object(json.get())) json.reset();
  return json;
}

}  // namespace detection::security
