// Tokens, good and hostile, against a ring with a key of each kind.

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "security/test_keys.hpp"
#include "security/token_verifier.hpp"

namespace detection::security {
namespace {

using namespace testing;
using nlohmann::json;

constexpr std::int64_t kNow_s = 1'790'000'000;
const UtcMicros kNow{kNow_s * 1'000'000};

json good_claims() {
  return {{"sub", "camera-1"}, {"scope", "detections:write detections:read"}, {"iat", kNow_s}, {"exp", kNow_s + 600}};
}
std::string with(const json& patch) {
  auto claims = good_claims();
  if (!patch.is_null()) claims.merge_patch(patch);
  return claims.dump();
}

class Token : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(keys());
    write_file(directory_.path() / "key", kHmacText);
    write_file(keys() / "ES256.pem", ec.private_pem());
    write_file(keys() / "RS256.pem", rsa.public_pem());
    write_file(keys() / "EdDSA.pem", ed.private_pem());
    write_file(keys() / "HS256", kOtherHmacText);
    reopen({});
  }
  [[nodiscard]] std::filesystem::path keys() const { return directory_.path() / "keys"; }
  void reopen(TokenRules rules) {
    AuthorityOptions options;
    options.key_file = directory_.path() / "key";
    options.key_directory = keys();
    auto ring = KeyRing::open(options, epoch_, metrics_, log_);
    ASSERT_TRUE(ring) << ring.error().detail;
    ring_ = std::move(*ring);
    verifier_.emplace(*ring_, std::move(rules));
  }
  Result<TokenClaims> verify(const std::string& token, UtcMicros now = kNow) { return verifier_->verify(token, now); }
  Result<TokenClaims> claims(const json& patch, UtcMicros now = kNow) {
    return verify(hmac_token(R"({"alg":"HS256"})", with(patch)), now);
  }
  /// Each algorithm's own way to sign, by the key of its name.
  std::map<std::string, std::function<std::string(const std::string&, const std::string&)>> signers() {
    return {{"HS256", [](const auto& header, const auto& body) { return hmac_token(header, body, kOtherHmacText); }},
            {"ES256", [&](const auto& header, const auto& body) { return ec.token(header, body); }},
            {"RS256", [&](const auto& header, const auto& body) { return rsa.token(header, body); }},
            {"EdDSA", [&](const auto& header, const auto& body) { return ed.token(header, body); }}};
  }
  void expect_refused(const std::string& token, const std::string& what, std::string_view says = "") {
    const auto verdict = verify(token);
    ASSERT_FALSE(verdict) << what;
    EXPECT_EQ(verdict.error().code, ErrorCode::kUnauthorized) << what;
    EXPECT_FALSE(verdict.error().detail.empty()) << what;
    EXPECT_NE(verdict.error().detail.find(says), std::string::npos) << what << ": " << verdict.error().detail;
  }

  const AsymmetricKey ec{Kind::kEc}, rsa{Kind::kRsa}, ed{Kind::kEd25519};

 private:
  TemporaryDirectory directory_;
  std::atomic<std::uint64_t> epoch_{1};
  telemetry::Metrics metrics_;
  telemetry::Log log_{-1};
  std::unique_ptr<KeyRing> ring_;
  std::optional<TokenVerifier> verifier_;
};

TEST_F(Token, GoodOnesOfEveryKindAreTaken) {
  for (const auto& [name, sign] : signers()) {
    const auto verdict = verify(sign(R"({"alg":")" + name + R"(","kid":")" + name + "\"}", with({{"jti", "x"}})));
    ASSERT_TRUE(verdict) << name << ": " << verdict.error().detail;
    EXPECT_EQ(verdict->principal.subject, "camera-1");
    EXPECT_EQ(verdict->principal.jti, "x");
    EXPECT_EQ(verdict->principal.scopes, (ScopeSet{Scope::kDetectionsWrite, Scope::kDetectionsRead}));
    EXPECT_EQ(verdict->principal.expires.count, (kNow_s + 600 + 60) * 1'000'000);
  }
  EXPECT_TRUE(verify(ed.token(R"({"alg":"Ed25519","kid":"EdDSA"})", with({})))) << "RFC 9864";
  EXPECT_TRUE(verify(hmac_token(R"({"alg":"HS256"})", with({})))) << "no kid: the key file's";
}

TEST_F(Token, OursIsTakenByItsOwnKid) {
  const auto key = HmacKey::from_text(kHmacText).value();
  const auto other = HmacKey::from_text(kOtherHmacText).value();
  for (const auto* one : {&key, &other}) {
    const auto token = mint_token(*one, {"camera-1", "detections:write audit:read", std::chrono::hours{1}}, kNow);
    ASSERT_TRUE(token) << token.error().detail;
    const auto verdict = verify(*token);
    ASSERT_TRUE(verdict) << verdict.error().detail;
    EXPECT_EQ(verdict->principal.scopes, (ScopeSet{Scope::kDetectionsWrite, Scope::kAuditRead}));
    EXPECT_EQ(verdict->principal.jti.size(), 32U);
  }
}

TEST_F(Token, HostileHeadersAreRefusedForEveryKind) {
  const auto other_ec = AsymmetricKey(Kind::kEc);
  const struct {
    const char* what;
    json patch;
    std::string says;
  } cases[] = {
      {"alg none", {{"alg", "none"}}, "algorithm"},
      {"alg in other letters", {{"alg", "nOnE"}}, "algorithm"},
      {"HS512", {{"alg", "HS512"}}, "algorithm"},
      {"RS512", {{"alg", "RS512"}}, "algorithm"},
      {"ES384", {{"alg", "ES384"}}, "algorithm"},
      {"PS256", {{"alg", "PS256"}}, "algorithm"},
      {"alg as a number", {{"alg", 256}}, "algorithm"},
      {"no alg", {{"alg", nullptr}}, "algorithm"},
      {"unknown kid", {{"kid", "nobody"}}, "unknown"},
      {"kid as a number", {{"kid", 1}}, "unknown"},
      {"empty kid", {{"kid", ""}}, "unknown"},
      {"long kid", {{"kid", std::string(65, 'a')}}, "unknown"},
      {"path in kid", {{"kid", "../../../../dev/null"}}, "unknown"},
      {"file name in kid", {{"kid", "ES256.pem"}}, "unknown"},
      {"hidden file in kid", {{"kid", "..data"}}, "unknown"},
      {"absolute path in kid", {{"kid", "/proc/self/environ"}}, "unknown"},
      {"SQL in kid", {{"kid", "x' UNION SELECT 'a"}}, "unknown"},
      {"crit", {{"crit", {"exp"}}}, "crit"},
      {"crit b64", {{"crit", {"b64"}}, {"b64", false}}, "crit"},
      {"b64 alone", {{"b64", false}}, "b64"},
      {"embedded jwk", {{"jwk", {{"kty", "oct"}, {"k", "AAAA"}}}}, "jwk"},
      {"jku", {{"jku", "http://127.0.0.1:1/keys"}}, "jku"},
      {"x5u", {{"x5u", "http://127.0.0.1:1/c"}}, "x5u"},
      {"x5c", {{"x5c", {"AAAA"}}}, "x5c"},
  };
  for (const auto& [name, sign] : signers()) {
    for (const auto& c : cases) {
      auto header = json{{"alg", name}, {"kid", name}};
      header.merge_patch(c.patch);
      expect_refused(sign(header.dump(), with({})), name + ": " + c.what, c.says);
    }
    const auto text = [&](std::string_view rest) {
      return R"({"alg":")" + name + R"(","kid":")" + name + "\"" + std::string(rest);
    };
    expect_refused(sign(text(R"(,"alg":"none"})"), with({})), name + ": alg twice", "duplicate");
    expect_refused(sign(text(R"(,"kid":"HS256"})"), with({})), name + ": kid twice", "duplicate");
    expect_refused(sign(text(""), with({})), name + ": header cut off");
    expect_refused(sign("[]", with({})), name + ": header is a list");
    expect_refused(sign(text(R"(,"kid\u0000":"x"})"), with({})), name + ": NUL in the header");
    expect_refused(sign(text("} x"), with({})), name + ": text behind the header");
  }
}

TEST_F(Token, AKeyIsGoodForItsOwnAlgorithmOnly) {
  // Every signature under every kid and every alg: only what belongs together passes.
  for (const auto& [signer, sign] : signers())
    for (const auto& [kid, unused1] : signers())
      for (const auto& [alg, unused2] : signers()) {
        const auto token = sign(json{{"alg", alg}, {"kid", kid}}.dump(), with({}));
        EXPECT_EQ(verify(token).has_value(), signer == kid && kid == alg) << signer << " " << kid << " " << alg;
      }
  // The public key's text as an HMAC key.
  for (const auto* key : {&ec, &rsa, &ed})
    for (const auto& text : {key->public_pem(), key->public_pem().substr(0, key->public_pem().size() - 1)}) {
      const std::string name(key->algorithm());
      expect_refused(hmac_token(json{{"alg", "HS256"}, {"kid", name}}.dump(), with({}), text), "confusion " + name);
      expect_refused(hmac_token(R"({"alg":"HS256"})", with({}), text), "confusion without kid " + name);
    }
  expect_refused(AsymmetricKey(Kind::kEc).token(R"({"alg":"ES256","kid":"ES256"})", with({})), "another EC key");
  const auto head = base64url_encode(R"({"alg":"ES256","kid":"ES256"})") + "." + base64url_encode(with({})) + ".";
  expect_refused(head + base64url_encode(std::string(64, '\0')), "a signature of zeros");
  expect_refused(hmac_token(R"({"alg":"HS512"})", with({}), kHmacText, EVP_sha512()), "HS512 by the right key");
}

TEST_F(Token, BrokenFormsAreRefused) {
  for (const auto& [name, sign] : signers()) {
    const auto good = sign(json{{"alg", name}, {"kid", name}}.dump(), with({}));
    ASSERT_TRUE(verify(good)) << name;
    const auto head = good.substr(0, good.find('.'));
    const struct {
      const char* what;
      std::string token;
    } cases[] = {
        {"empty", ""},
        {"two dots", ".."},
        {"one part", "abc"},
        {"four parts", good + ".x"},
        {"five parts", good + ".x.y"},
        {"padding", good + "="},
        {"padded header", head + "=" + good.substr(good.find('.'))},
        {"cut signature", good.substr(0, good.size() - 4)},
        {"no signature", good.substr(0, good.rfind('.') + 1)},
        {"only the first two parts", good.substr(0, good.rfind('.'))},
        {"plus and slash", "+/" + good},
        {"white space in front", " " + good},
        {"white space behind", good + "\n"},
        {"NUL", good + std::string(1, '\0')},
        {"longer signature", good + "AAAA"},
        {"huge header", std::string(100'000, 'a') + good.substr(good.find('.'))},
        {"huge claims", sign(json{{"alg", name}, {"kid", name}}.dump(), with({{"x", std::string(8'000, 'x')}}))},
        {"all dots", std::string(8'000, '.')},
    };
    for (const auto& c : cases) expect_refused(c.token, name + ": " + c.what);
  }
}

TEST_F(Token, EveryChangedCharacterIsFound) {
  for (const auto& [name, sign] : signers()) {
    const auto good = sign(json{{"alg", name}, {"kid", name}}.dump(), with({}));
    for (std::size_t i = 0; i < good.size(); ++i) {
      auto bad = good;
      bad[i] = bad[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(verify(bad)) << name << " " << i;
    }
  }
}

TEST_F(Token, HostileClaimsAreRefused) {
  const struct {
    const char* what;
    json patch;
    std::string says;
  } cases[] = {
      {"no sub", {{"sub", nullptr}}, "sub"},
      {"empty sub", {{"sub", ""}}, "sub"},
      {"long sub", {{"sub", std::string(129, 'a')}}, "sub"},
      {"sub as a number", {{"sub", 1}}, "sub"},
      {"line end in sub", {{"sub", "a\nb"}}, "sub"},
      {"no exp", {{"exp", nullptr}}, "exp"},
      {"exp as text", {{"exp", std::to_string(kNow_s + 600)}}, "exp"},
      {"exp true", {{"exp", true}}, "exp"},
      {"exp beyond all clocks", {{"exp", 1e300}}, "exp"},
      {"exp in milliseconds", {{"exp", kNow_s * 1000}}, "exp"},
      {"negative exp", {{"exp", -1}}, "expired"},
      {"expired", {{"exp", kNow_s - 60}}, "expired"},
      {"nbf ahead", {{"nbf", kNow_s + 61}}, "not valid yet"},
      {"nbf as text", {{"nbf", "now"}}, "nbf"},
      {"iat ahead", {{"iat", kNow_s + 61}}, "not valid yet"},
      {"iat as text", {{"iat", std::to_string(kNow_s)}}, "iat"},
      {"iat as a list", {{"iat", {kNow_s}}}, "iat"},
      {"wrong iss", {{"iss", "evil"}}, "iss"},
      {"iss in other letters", {{"iss", "Detection-API"}}, "iss"},
      {"iss as a list", {{"iss", {"detection-api"}}}, "iss"},
      {"wrong aud", {{"aud", "another-service"}}, "aud"},
      {"wrong aud in a list", {{"aud", {"a", "b"}}}, "aud"},
      {"empty list of aud", {{"aud", json::array()}}, "aud"},
      {"aud as a number", {{"aud", 1}}, "aud"},
      {"a number in aud", {{"aud", {"detection-api", 1}}}, "aud"},
      {"scope as a list", {{"scope", {"admin"}}}, "scope"},
      {"jti as a number", {{"jti", 7}}, "jti"},
      {"empty jti", {{"jti", ""}}, "jti"},
      {"long jti", {{"jti", std::string(129, 'a')}}, "jti"},
  };
  for (const auto& c : cases) expect_refused(hmac_token(R"({"alg":"HS256"})", with(c.patch)), c.what, c.says);
  for (const std::string body :
       {"", "[]", "null", "{", R"({"sub":"a","exp":1790000600} x)", R"({"sub":"a","sub":"b","exp":1790000600})",
        R"({"sub":"a","exp":1790000600,"exp":9990000600})",
        R"({"sub":"a","exp":1790000600,"aud":"x","aud":"detection-api"})", R"({"sub":"a","exp":1e400})",
        R"({"sub":"a","exp":NaN})", R"({"sub":"a","exp":99999999999999999999})",
        R"({"sub":"a\u0000","exp":1790000600})", "{\"sub\":\"\xff\xfe\",\"exp\":1790000600}",
        R"({"sub":"a","exp":1790000600,"x":{"a":1,"a":2}})"})
    expect_refused(hmac_token(R"({"alg":"HS256"})", body), "body " + body);
}

TEST_F(Token, OddButGoodClaimsAreTaken) {
  EXPECT_TRUE(claims({{"aud", "detection-api"}}));
  EXPECT_TRUE(claims({{"aud", {"x", "detection-api"}}}));
  EXPECT_TRUE(claims({{"iss", "detection-api"}}));
  EXPECT_TRUE(claims({{"exp", kNow_s + 600.5}}));
  EXPECT_TRUE(claims({{"exp", kNow_s + 10LL * 365 * 86'400}})) << "a foreign token may live long";
  EXPECT_TRUE(claims({{"iat", nullptr}}));
  const auto foreign = claims({{"scope", "openid  admin profile"}, {"client_id", "keycloak-client"}});
  ASSERT_TRUE(foreign);
  EXPECT_EQ(foreign->principal.scopes, ScopeSet{Scope::kAdmin});
  EXPECT_TRUE(foreign->principal.api_key_id.empty());
  EXPECT_TRUE(claims({{"scope", nullptr}})->principal.scopes.empty());
}

TEST_F(Token, TimesHoldToTheSecond) {
  const auto at = [](std::int64_t seconds, std::int64_t micros = 0) {
    return UtcMicros{(kNow_s + seconds) * 1'000'000 + micros};
  };
  EXPECT_TRUE(claims({}, at(600 + 59, 999'999)));
  EXPECT_FALSE(claims({}, at(600 + 60)));
  const json later{{"nbf", kNow_s + 100}};
  EXPECT_FALSE(claims(later, at(39, 999'999)));
  EXPECT_TRUE(claims(later, at(40)));
  const json issued{{"iat", kNow_s + 100}};
  EXPECT_FALSE(claims(issued, at(39)));
  EXPECT_TRUE(claims(issued, at(40)));
}

TEST_F(Token, AListOfIssuersAndAudiencesReplacesOurName) {
  reopen({{"https://login.example", "second"}, {"maps"}});
  const json both{{"iss", "https://login.example"}, {"aud", {"maps", "other"}}};
  EXPECT_TRUE(claims(both));
  EXPECT_TRUE(claims({{"iss", "second"}, {"aud", "maps"}}));
  for (const auto& [member, value] : std::vector<std::pair<std::string, json>>{
           {"iss", nullptr}, {"iss", "detection-api"}, {"aud", nullptr}, {"aud", "detection-api"}}) {
    auto patch = both;
    patch[member] = value;
    EXPECT_FALSE(claims(patch)) << member << value;
  }
}

TEST(MintToken, ChecksItsInput) {
  const auto key = HmacKey::from_text(kHmacText).value();
  const auto is_refused = [&](TokenRequest request) { return !mint_token(key, request, kNow).has_value(); };
  EXPECT_TRUE(is_refused({"", "admin", std::chrono::hours{1}}));
  EXPECT_TRUE(is_refused({std::string(129, 'a'), "admin", std::chrono::hours{1}}));
  EXPECT_TRUE(is_refused({"a\n", "admin", std::chrono::hours{1}}));
  EXPECT_TRUE(is_refused({"a", "detections:fly", std::chrono::hours{1}}));
  EXPECT_TRUE(is_refused({"a", "admin", std::chrono::hours{25}}));
  EXPECT_TRUE(is_refused({"a", "admin", std::chrono::seconds{0}}));
  EXPECT_FALSE(is_refused({"a", " admin  audit:read ", std::chrono::hours{24}}));
}

}  // namespace
}  // namespace detection::security
