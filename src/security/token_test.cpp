#include "security/token.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace detection::security {
namespace {

constexpr std::string_view kKey = "0f9c51e2a7b34d6688ce1b2a7d5f4e3c0f9c51e2";
const UtcMicros kNow{1'790'000'000'000'000};

std::string base64url(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  while (!out.empty() && out.back() == '=') out.pop_back();
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

/// A token made by hand, with OpenSSL as the second opinion.
std::string made(std::string_view header, std::string_view claims, std::string_view key = kKey,
                 const EVP_MD* hash = EVP_sha256()) {
  const std::string head = base64url(header) + "." + base64url(claims);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(hash, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(head.data()), head.size(),
       mac, &size);
  return head + "." + base64url({reinterpret_cast<const char*>(mac), size});
}

constexpr std::string_view kHeader = R"({"alg":"HS256","typ":"JWT"})";
const std::string kClaims = R"({"sub":"camera-1","scope":"detections:write detections:read","exp":1790000060})";

TokenVerifier verifier() {
  return TokenVerifier(HmacKey::from_text(kKey).value());
}

TEST(Token, OursIsAcceptedAndSaysWhoAndWhat) {
  const auto key = HmacKey::from_text(kKey).value();
  const auto token = mint_token(key, {"camera-1", "detections:write audit:read", std::chrono::hours{1}}, kNow);
  ASSERT_TRUE(token) << token.error().detail;
  auto check = verifier();
  for (int i = 0; i < 2; ++i) {  // the second time from the cache
    const auto principal = check.verify(*token, kNow);
    ASSERT_TRUE(principal) << principal.error().detail;
    EXPECT_EQ((*principal)->subject, "camera-1");
    EXPECT_TRUE((*principal)->scopes.has(Scope::kDetectionsWrite));
    EXPECT_TRUE((*principal)->scopes.has(Scope::kAuditRead));
    EXPECT_FALSE((*principal)->scopes.has(Scope::kDetectionsRead));
    EXPECT_FALSE((*principal)->scopes.has(Scope::kAdmin));
  }
}

TEST(Token, OneMadeElsewhereWithTheSameKeyIsAccepted) {
  EXPECT_TRUE(verifier().verify(made(kHeader, kClaims), kNow));
}

TEST(Token, ACachedOneEndsAtItsExpiry) {
  auto check = verifier();
  const auto token = made(kHeader, kClaims);
  ASSERT_TRUE(check.verify(token, kNow));
  const UtcMicros last{(1'790'000'060 + 60) * std::int64_t{1'000'000} - 1};
  EXPECT_TRUE(check.verify(token, last));
  EXPECT_FALSE(check.verify(token, {last.count + 1}));
}

TEST(Token, HostileOnesAreRefused) {
  const std::string good = made(kHeader, kClaims);
  const std::string alg_none = base64url(R"({"alg":"none"})") + "." + base64url(kClaims) + ".";
  const struct {
    const char* what;
    std::string token;
  } cases[] = {
      {"empty", ""},
      {"two dots", ".."},
      {"one part", "abc"},
      {"four parts", good + ".x"},
      {"alg none", alg_none},
      {"alg none with our signature", made(R"({"alg":"none"})", kClaims)},
      {"another key", made(kHeader, kClaims, "another-key-another-key-another-key-123")},
      {"HS512 with the right key", made(R"({"alg":"HS512"})", kClaims, kKey, EVP_sha512())},
      {"alg twice", made(R"({"alg":"none","alg":"HS256"})", kClaims)},
      {"alg as a number", made(R"({"alg":256})", kClaims)},
      {"no alg", made(R"({"typ":"JWT"})", kClaims)},
      {"crit", made(R"({"alg":"HS256","crit":["b64"],"b64":false})", kClaims)},
      {"unknown crit", made(R"({"alg":"HS256","crit":["x"]})", kClaims)},
      {"unknown kid", made(R"({"alg":"HS256","kid":"other"})", kClaims)},
      {"kid as a number", made(R"({"alg":"HS256","kid":1})", kClaims)},
      {"padding", good + "="},
      {"padded header", base64url(R"({"alg":"HS256"})") + "=" + good.substr(good.find('.'))},
      {"cut signature", good.substr(0, good.size() - 4)},
      {"no signature", good.substr(0, good.rfind('.') + 1)},
      {"header is no object", made(R"(["HS256"])", kClaims)},
      {"claims are no object", made(kHeader, "[]")},
      {"claims twice", made(kHeader, R"({"sub":"a","sub":"b","exp":1790000060})")},
      {"no sub", made(kHeader, R"({"exp":1790000060})")},
      {"empty sub", made(kHeader, R"({"sub":"","exp":1790000060})")},
      {"no exp", made(kHeader, R"({"sub":"a"})")},
      {"exp as text", made(kHeader, R"({"sub":"a","exp":"1790000060"})")},
      {"exp beyond all", made(kHeader, R"({"sub":"a","exp":1e300})")},
      {"expired", made(kHeader, R"({"sub":"a","exp":1789999940})")},
      {"nbf ahead", made(kHeader, R"({"sub":"a","exp":1790009999,"nbf":1790000061})")},
      {"iat ahead", made(kHeader, R"({"sub":"a","exp":1790009999,"iat":1790000061})")},
      {"nbf as text", made(kHeader, R"({"sub":"a","exp":1790009999,"nbf":"now"})")},
      {"scope as a list", made(kHeader, R"({"sub":"a","exp":1790000060,"scope":["admin"]})")},
      {"plus and slash", "+/" + good},
      {"white space", " " + good},
      {"NUL", good + std::string(1, '\0')},
      {"huge", std::string(100'000, 'a') + "." + good.substr(good.find('.') + 1)},
  };
  auto check = verifier();
  for (const auto& c : cases) {
    const auto verdict = check.verify(c.token, kNow);
    ASSERT_FALSE(verdict) << c.what;
    EXPECT_EQ(verdict.error().code, ErrorCode::kUnauthorized) << c.what;
    EXPECT_FALSE(verdict.error().detail.empty()) << c.what;
  }
}

TEST(Token, EveryFlippedBitIsFound) {
  const std::string good = made(kHeader, kClaims);
  auto check = verifier();
  // The last character holds bits that base64 throws away: up to there each change must be found.
  for (std::size_t i = 0; i + 1 < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(check.verify(bad, kNow)) << i;
  }
}

TEST(Token, MintingChecksItsInput) {
  const auto key = HmacKey::from_text(kKey).value();
  const auto refused = [&](TokenRequest request) { return !mint_token(key, request, kNow).has_value(); };
  EXPECT_TRUE(refused({"", "admin", std::chrono::hours{1}}));
  EXPECT_TRUE(refused({std::string(129, 'a'), "admin", std::chrono::hours{1}}));
  EXPECT_TRUE(refused({"a\n", "admin", std::chrono::hours{1}}));
  EXPECT_TRUE(refused({"a", "detections:fly", std::chrono::hours{1}}));
  EXPECT_TRUE(refused({"a", "admin", std::chrono::hours{25}}));
  EXPECT_TRUE(refused({"a", "admin", std::chrono::seconds{0}}));
  EXPECT_FALSE(refused({"a", " admin  audit:read ", std::chrono::hours{24}}));
}

TEST(HmacKey, ShortKnownAndMissingOnesAreRefusedWithTheWayToMakeOne) {
  for (const std::string& text : {std::string(), std::string(31, 'x'), std::string(64, 'x'),
                                  std::string("Your-256-Bit-Secret-your-256-bit-secret"),
                                  std::string("   changeme-changeme-changeme-changeme  ")}) {
    const auto key = HmacKey::from_text(text);
    ASSERT_FALSE(key) << text;
    EXPECT_NE(key.error().detail.find("openssl rand"), std::string::npos) << key.error().detail;
  }
  EXPECT_FALSE(HmacKey::from_file("/nonexistent/key"));
  EXPECT_FALSE(HmacKey::from_file("/"));
}

TEST(HmacKey, SurroundingWhiteSpaceIsNotPartOfIt) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "hmac_key_test";
  std::ofstream(path) << "\n  " << kKey << " \r\n";
  auto key = HmacKey::from_file(path);
  ASSERT_TRUE(key) << key.error().detail;
  const auto token = mint_token(*key, {"a", "admin", std::chrono::hours{1}}, kNow);
  EXPECT_TRUE(verifier().verify(*token, kNow));
  std::filesystem::permissions(path, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  EXPECT_TRUE(writable_by_others(path));
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  EXPECT_FALSE(writable_by_others(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace detection::security
