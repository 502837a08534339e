#include <algorithm>
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

/// Whole keys that stand in documents: RFC 7515 A.1, RFC 7520 section 3.5, both as the JWK writes them.
constexpr std::string_view kPublishedKeys[] = {
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"};

/// Words of tutorials and default configurations, small letters and digits only, a longer one before its parts: whoever
/// knows them can mint any token, unless enough stands beside them that is none of these.
constexpr std::string_view kWords[] = {"your256bitsecret",
                                       "astringsecretatleast256bitslong",
                                       "donotuse",
                                       "yoursecret",
                                       "supersecret",
                                       "changethis",
                                       "changeme",
                                       "changeit",
                                       "replacethis",
                                       "replaceme",
                                       "production",
                                       "development",
                                       "insecure",
                                       "password",
                                       "passphrase",
                                       "placeholder",
                                       "signature",
                                       "signing",
                                       "example",
                                       "default",
                                       "tutorial",
                                       "testing",
                                       "private",
                                       "security",
                                       "public",
                                       "random",
                                       "secret",
                                       "sample",
                                       "please",
                                       "change",
                                       "replace",
                                       "string",
                                       "letmein",
                                       "dummy",
                                       "token",
                                       "local",
                                       "admin",
                                       "hs256",
                                       "thisis",
                                       "value",
                                       "least",
                                       "bytes",
                                       "your",
                                       "test",
                                       "demo",
                                       "must",
                                       "long",
                                       "jwt",
                                       "key",
                                       "dev"};
/// Fewer letters and digits beside the words than these are no key: 22 of base64 are 128 bits.
constexpr std::size_t kOthersLeast = 22;

/// Rows in which a finger, or a loop, goes from one character to the next.
constexpr std::string_view kRows[] = {"0123456789abcdefghijklmnopqrstuvwxyz", "1234567890qwertyuiopasdfghjklzxcvbnm",
                                      "qwertzuiopasdfghjklyxcvbnm", "1q2w3e4r5t6y7u8i9o0p",
                                      "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p"};

/// What is public by its nature, or belongs elsewhere: as a secret it would be one that everybody knows.
constexpr std::string_view kNotSecrets[] = {"{", "[", "-----", "ssh-", "ecdsa-", "---- BEGIN"};

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Standard base64 as base64url, without its padding.
std::string as_base64url(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != '=') out.push_back(c == '+' ? '-' : c == '/' ? '_' : c);
  return out;
}

bool is_published(std::string_view key) {
  const auto text = as_base64url(key);
  for (const auto known : kPublishedKeys)
    if (text == known || base64url_decode(known) == key) return true;
  return false;
}

/// One piece over and over that is no key by itself.
bool repeats_itself(std::string_view text) {
  for (std::size_t period = 1; period < kKeyBytesLeast && period <= text.size() / 2; ++period)
    if (text.substr(period) == text.substr(0, text.size() - period)) return true;
  return false;
}

/// Most steps go on, or stay, in one direction of a row. (Of two random hexadecimal digits one in eight is such a step;
/// three of five among 31 are not to be met by chance.)
bool follows_a_row(std::string_view text) {
  for (const auto row : kRows) {
    std::size_t up = 0, down = 0;
    for (std::size_t i = 1; i < text.size(); ++i) {
      const auto from = row.find(text[i - 1]), to = row.find(text[i]);
      if (from == std::string_view::npos || to == std::string_view::npos) continue;
      up += to == from || to == (from + 1) % row.size() ? 1 : 0;
      down += to == from || from == (to + 1) % row.size() ? 1 : 0;
    }
    if (5 * std::max(up, down) >= 3 * (text.size() - 1)) return true;
  }
  return false;
}

/// Bytes in hexadecimal, most of which differ from the one before as that did.
bool counts_in_hex(std::string_view text) {
  if (text.size() % 2 != 0 || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) return false;
  const auto digit = [&](std::size_t i) { return text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10; };
  const auto byte = [&](std::size_t i) { return digit(2 * i) * 16 + digit(2 * i + 1); };
  std::size_t even = 0;
  for (std::size_t i = 2; i < text.size() / 2; ++i)
    even += (byte(i) - byte(i - 1) - byte(i - 1) + byte(i - 2)) % 256 == 0 ? 1 : 0;
  return 5 * even >= 3 * (text.size() / 2 - 2);
}

bool guessable(std::string_view key) {
  std::bitset<256> seen;
  for (const char c : key) seen.set(static_cast<unsigned char>(c));
  if (seen.count() < 5 || is_published(key) || repeats_itself(key)) return true;
  // As words are written: without what separates them, without capitals.
  std::string plain;
  const Cleansed cleansed(plain);
  plain.reserve(key.size());
  for (const char c : key)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      plain.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  if (plain.size() < key.size() / 2) return false;  // bytes, not text
  if (repeats_itself(plain) || follows_a_row(plain) || counts_in_hex(plain)) return true;
  bool has_words = false;
  for (const auto word : kWords)
    for (auto at = plain.find(word); at != std::string::npos; at = plain.find(word)) {
      plain.erase(at, word.size());
      has_words = true;
    }
  return has_words && (plain.size() < kOthersLeast || repeats_itself(plain) || follows_a_row(plain));
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
