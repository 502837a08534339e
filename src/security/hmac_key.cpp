#include <array>
#include <bitset>
#include <cctype>
#include <fstream>
#include <system_error>

#include "security/key.hpp"

namespace detection::security {
namespace {

constexpr std::size_t kKeyBytesLeast = 32;  // RFC 7518 section 3.2: at least the size of the hash
constexpr std::size_t kKeyBytesMost = 4096;

/// Keys from tutorials and default configurations: whoever knows them can mint any token.
constexpr std::string_view kKnownKeys[] = {"your-256-bit-secret",
                                           "your-secret-key",
                                           "changeme",
                                           "change-me",
                                           "change_me",
                                           "changethis",
                                           "supersecret",
                                           "super-secret",
                                           "secret-key",
                                           "secretkey",
                                           "default-secret",
                                           "a-string-secret-at-least-256-bits-long",
                                           "12345678901234567890",
                                           "0123456789abcdef0123456789abcdef",
                                           "abcdefghijklmnopqrstuvwxyz"};

/// What is public by its nature, or belongs elsewhere: as a secret it would be one that everybody knows.
constexpr std::string_view kNotSecrets[] = {"{", "[", "-----", "ssh-", "ecdsa-", "---- BEGIN"};

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
  const Cleansed cleansed(lower);
  lower.reserve(key.size());
  for (const char c : key) lower.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  for (const auto known : kKnownKeys)
    if (lower.find(known) != std::string::npos) return true;
  return false;
}

std::unexpected<Error> unusable(std::string reason) {
  return fail(ErrorCode::kConfiguration, std::move(reason) + std::string(kHowToMakeHmac));
}

}  // namespace

Result<KeyPointer> Key::from_hmac_text(std::string_view text) {
  const auto key = trimmed(text);
  if (key.size() < kKeyBytesLeast || key.size() > kKeyBytesMost)
    return unusable("the signing key has " + std::to_string(key.size()) + " bytes; it needs at least " +
                    std::to_string(kKeyBytesLeast) + " and at most " + std::to_string(kKeyBytesMost));
  for (const auto start : kNotSecrets)
    if (key.starts_with(start))
      return unusable(
          "this is not an HMAC key but the text of another kind of key; PEM files belong into the key "
          "directory");
  if (guessable(key))
    return unusable("the signing key is a well-known example or has next to no variety; anybody could mint tokens");
  const CleanErrorQueue clean;
  cjose_err error{};
  Parts parts;
  parts.jwk.reset(cjose_jwk_create_oct_spec(bytes(key), key.size(), &error));
  if (!parts.jwk) return unusable("the signing key cannot be used");
  parts.can_sign = true;
  parts.id = hex(as_text(sha256(key)).substr(0, 8));
  parts.labelled = hmac_sha256(key, "detection-api: key of signed texts, version 1");
  return std::make_shared<const Key>(std::move(parts));
}

HmacKey::HmacKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HmacKey::HmacKey(HmacKey&&) noexcept = default;
HmacKey& HmacKey::operator=(HmacKey&&) noexcept = default;
HmacKey::~HmacKey() = default;

Result<HmacKey> HmacKey::from_text(std::string_view text) {
  auto key = Key::from_hmac_text(text);
  if (!key) return std::unexpected(std::move(key.error()));
  return HmacKey(std::make_unique<Impl>(Impl{std::move(*key)}));
}

Result<HmacKey> HmacKey::from_file(const std::filesystem::path& path) {
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem))
    return unusable("the signing key file " + path.string() + " does not exist");
  std::ifstream file(path, std::ios::binary);
  std::string text(kKeyBytesMost + 64, '\0');
  const Cleansed cleansed(text);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad())
    return fail(ErrorCode::kConfiguration, "the signing key file " + path.string() + " cannot be read");
  auto key = from_text(std::string_view(text).substr(0, static_cast<std::size_t>(file.gcount())));
  if (!key) key.error().detail = path.string() + ": " + key.error().detail;
  return key;
}

bool writable_by_others(const std::filesystem::path& path) {
  std::error_code problem;
  const auto status = std::filesystem::status(path, problem);
  return !problem && (status.permissions() & std::filesystem::perms::others_write) != std::filesystem::perms::none;
}

}  // namespace detection::security
