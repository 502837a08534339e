#include <openssl/sha.h>

#include <array>
#include <bitset>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <system_error>

#include "security/jose.hpp"

namespace detection::security {
namespace {

constexpr std::size_t kKeyBytesLeast = 32;  // RFC 7518 section 3.2: at least the size of the hash
constexpr std::size_t kKeyBytesMost = 4096;
constexpr std::string_view kHowToMake = "; make one with: openssl rand -base64 48 > FILE";

/// Keys from tutorials and default configurations: whoever knows them can mint any token.
constexpr std::string_view kKnownKeys[] = {"your-256-bit-secret",
                                           "your-secret-key",
                                           "changeme",
                                           "change-me",
                                           "change_me",
                                           "changethis",
                                           "supersecret",
                                           "secret-key",
                                           "secretkey",
                                           "default-secret",
                                           "a-string-secret-at-least-256-bits-long"};

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool guessable(std::string_view key) {
  std::bitset<256> seen;
  for (const char c : key) seen.set(static_cast<unsigned char>(c));
  if (seen.count() < 5) return true;
  std::string lower;
  for (const char c : key) lower.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  for (const auto known : kKnownKeys)
    if (lower.find(known) != std::string::npos) return true;
  return false;
}

}  // namespace

HmacKey::HmacKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HmacKey::HmacKey(HmacKey&&) noexcept = default;
HmacKey& HmacKey::operator=(HmacKey&&) noexcept = default;
HmacKey::~HmacKey() = default;

Result<HmacKey> HmacKey::from_text(std::string_view text) {
  const auto key = trimmed(text);
  if (key.size() < kKeyBytesLeast || key.size() > kKeyBytesMost)
    return fail(ErrorCode::kConfiguration, "the signing key has " + std::to_string(key.size()) +
                                               " bytes; it needs at least " + std::to_string(kKeyBytesLeast) +
                                               " and at most " + std::to_string(kKeyBytesMost) +
                                               std::string(kHowToMake));
  if (guessable(key))
    return fail(ErrorCode::kConfiguration,
                "the signing key is a well-known example or has next to no variety; anybody could mint tokens" +
                    std::string(kHowToMake));
  auto impl = std::make_unique<Impl>();
  cjose_err error{};
  impl->jwk.reset(cjose_jwk_create_oct_spec(reinterpret_cast<const std::uint8_t*>(key.data()), key.size(), &error));
  if (!impl->jwk) return fail(ErrorCode::kConfiguration, "the signing key cannot be used");
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), hash.data());
  for (std::size_t i = 0; i < 8; ++i) {
    std::array<char, 3> hex{};
    std::snprintf(hex.data(), hex.size(), "%02x", hash[i]);
    impl->id.append(hex.data());
  }
  return HmacKey(std::move(impl));
}

Result<HmacKey> HmacKey::from_file(const std::filesystem::path& path) {
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem))
    return fail(ErrorCode::kConfiguration,
                "the signing key file " + path.string() + " does not exist" + std::string(kHowToMake));
  std::ifstream file(path, std::ios::binary);
  std::string text(kKeyBytesMost + 64, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad())
    return fail(ErrorCode::kConfiguration, "the signing key file " + path.string() + " cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  auto key = from_text(text);
  if (!key) key.error().detail = path.string() + ": " + key.error().detail;
  return key;
}

bool writable_by_others(const std::filesystem::path& path) {
  std::error_code problem;
  const auto status = std::filesystem::status(path, problem);
  return !problem && (status.permissions() & std::filesystem::perms::others_write) != std::filesystem::perms::none;
}

}  // namespace detection::security
