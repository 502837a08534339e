#include "security/authority.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "detection/text.hpp"
#include "security/api_keys.hpp"
#include "security/key.hpp"
#include "security/memory_store.hpp"
#include "security/test_keys.hpp"

namespace detection::security {
namespace {

using namespace testing;
using std::chrono::hours;
using std::chrono::seconds;

constexpr std::int64_t kNow_s = 1'790'000'000;
const UtcMicros kNow{kNow_s * 1'000'000};
UtcMicros after(std::chrono::microseconds time) {
  return kNow + time;
}

class AuthorityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(directory_.path() / "key", kHmacText);
    options.key_file = directory_.path() / "key";
    reopen();
  }
  void reopen() {
    authority.reset();
    auto opened = Authority::open(options, store, metrics, log_);
    ASSERT_TRUE(opened) << opened.error().detail;
    authority = std::move(*opened);
  }
  NewApiKey create(ScopeSet scopes = {Scope::kDetectionsRead, Scope::kDetectionsWrite},
                   std::optional<UtcMicros> expires = {}) {
    auto made = authority->create_api_key({"a key", scopes, expires}, "admin-1", kNow);
    EXPECT_TRUE(made) << made.error().detail;
    return *made;
  }
  bool good(const std::string& credential, UtcMicros now = kNow) {
    return authority->authenticate(credential, now).has_value();
  }
  std::string why_not(const std::string& credential, UtcMicros now = kNow) {
    const auto verdict = authority->authenticate(credential, now);
    return verdict ? "it is good" : verdict.error().detail;
  }
  static std::string token(std::string_view jti, std::int64_t exp = kNow_s + 600) {
    return hmac_token(R"({"alg":"HS256"})",
                      nlohmann::json{{"sub", "a"}, {"scope", "admin"}, {"jti", jti}, {"exp", exp}}.dump());
  }
  bool metrics_say(const std::string& text) { return metrics.expose().find(text) != std::string::npos; }

  AuthorityOptions options;
  MemoryStore store;
  telemetry::Metrics metrics;

 private:
  TemporaryDirectory directory_;
  telemetry::Log log_{-1};

 protected:
  std::unique_ptr<Authority> authority;  // the first to go
};

TEST_F(AuthorityTest, ATokenIsRememberedButNotPastItsEnd) {
  const auto one = token("1");
  ASSERT_TRUE(good(one));
  const auto first = authority->authenticate(one, kNow).value();
  EXPECT_EQ(authority->authenticate(one, kNow).value(), first) << "not from the cache";
  EXPECT_TRUE(metrics_say(R"(cache_hits_total{cache="token"} 2)"));
  EXPECT_TRUE(good(one, after(seconds(659))));
  EXPECT_EQ(why_not(one, after(seconds(660))), "the token has expired");
  EXPECT_EQ(why_not(std::string(8193, 'a')), "the token is too long");
}

TEST_F(AuthorityTest, ARevokedTokenIsRefusedAlsoFromTheCache) {
  const auto one = token("one"), other = token("other");
  ASSERT_TRUE(good(one) && good(one) && good(other));
  ASSERT_TRUE(authority->revoke_token("one", "admin-1", kNow));
  EXPECT_EQ(why_not(one), "the token has been revoked");
  EXPECT_TRUE(good(other));
  ASSERT_TRUE(authority->revoke_token("one", "admin-1", kNow)) << "again changes nothing";
  ASSERT_EQ(store.entries.size(), 1U);
  EXPECT_EQ(store.entries[0].type, "token_revoked");
  EXPECT_EQ(store.entries[0].actor, "admin-1");
  reopen();
  EXPECT_EQ(why_not(one), "the token has been revoked") << "also after a restart";
  for (const std::string& bad : {std::string(), std::string(129, 'a'), std::string("a\n")}) {
    const auto verdict = authority->revoke_token(bad, "admin-1", kNow);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, ErrorCode::kValidationFailed);
  }
  store.away = true;
  EXPECT_FALSE(authority->revoke_token("other", "admin-1", kNow));
  EXPECT_TRUE(good(other)) << "what is not durable did not happen";
}

TEST_F(AuthorityTest, ARevocationIsKeptUntilNoTokenOfItCanLive) {
  EXPECT_EQ(authority->revoke_token("a", "x", kNow).value(), after(kRevokedFor));
  EXPECT_EQ(authority->revoke_token("b", "x", kNow, after(hours(1))).value(), after(hours(1) + seconds(60)));
  EXPECT_EQ(authority->revoke_token("b", "x", kNow, after(hours(2))).value(), after(hours(2) + seconds(60)));
  EXPECT_EQ(authority->revoke_token("b", "x", kNow, kNow).value(), after(hours(2) + seconds(60))) << "never shorter";
  EXPECT_EQ(authority->revoke_token("c", "x", kNow, UtcMicros{0}).value(), kNow);
  EXPECT_EQ(authority->revoke_token("d", "x", kNow, kNever).value(), after(kRevokedMost));
  // Full of what may live for an hour: full for that hour.
  for (int i = 0; i < 20'000; ++i) store.revoked.push_back({"r" + std::to_string(i), after(hours(1))});
  reopen();
  const auto full = authority->revoke_token("e", "x", kNow);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kCapacityExceeded);
  EXPECT_TRUE(authority->revoke_token("r7", "x", kNow, after(hours(3)))) << "known already";
  EXPECT_TRUE(authority->revoke_token("e", "x", after(hours(1) + seconds(1))));
}

TEST_F(AuthorityTest, OtherProcessesFollow) {
  const auto one = token("one");
  ASSERT_TRUE(good(one));
  const auto key = create();
  telemetry::Log silent(-1);
  telemetry::Metrics theirs;
  auto quick = options;
  quick.refresh = std::chrono::milliseconds(10);
  auto other = Authority::open(quick, store, theirs, silent).value();
  other->start();
  const auto soon = [&](auto condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return condition();
  };
  EXPECT_TRUE(other->authenticate(one, kNow));
  EXPECT_TRUE(other->authenticate(key.secret_text, kNow));
  ASSERT_TRUE(authority->revoke_token("one", "admin-1", kNow));
  ASSERT_TRUE(authority->revoke_api_key(key.info.id, "admin-1", kNow));
  const auto second = create();
  EXPECT_TRUE(soon([&] { return !other->authenticate(one, kNow).has_value(); }));
  EXPECT_TRUE(soon([&] { return !other->authenticate(key.secret_text, kNow).has_value(); }));
  EXPECT_TRUE(soon([&] { return other->authenticate(second.secret_text, kNow).has_value(); }));
  other->stop();
  // What it saw used is told at the stop.
  const std::scoped_lock lock(store.mutex());
  EXPECT_EQ(store.touched.size(), 2U);
}

TEST_F(AuthorityTest, AnApiKeyIsShownOnceAndKeptHashed) {
  const auto made = create();
  EXPECT_EQ(made.secret_text.size(), 64U);
  EXPECT_TRUE(parse_api_key(made.secret_text));
  EXPECT_EQ(made.info.created_by, "admin-1");
  const auto principal = authority->authenticate(made.secret_text, kNow);
  ASSERT_TRUE(principal) << principal.error().detail;
  EXPECT_EQ((*principal)->subject, "api-key:" + made.info.id);
  EXPECT_EQ((*principal)->api_key_id, made.info.id);
  EXPECT_EQ((*principal)->scopes, (ScopeSet{Scope::kDetectionsRead, Scope::kDetectionsWrite}));
  const auto secret = made.secret_text.substr(21);
  ASSERT_EQ(store.entries.size(), 1U);
  EXPECT_EQ(store.entries[0].type, "key_created");
  EXPECT_EQ(store.entries[0].actor, "admin-1");
  const auto detail = nlohmann::json::parse(store.entries[0].detail_json);
  EXPECT_EQ(detail,
            (nlohmann::json{{"id", made.info.id}, {"name", "a key"}, {"scopes", "detections:read detections:write"}}));
  EXPECT_EQ(store.entries[0].detail_json.find(secret), std::string::npos);
  EXPECT_EQ(store.keys[0].secret_sha256, sha256(secret));
  // Used a moment ago, shown before it is written.
  const auto listed = authority->api_keys().value();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].last_used, kNow);
}

TEST_F(AuthorityTest, WrongApiKeysAreAllRefusedAlike) {
  const auto made = create();
  const auto& text = made.secret_text;
  const std::string says = "the API key is not known, or its secret is wrong";
  auto flipped = text;
  flipped.back() = flipped.back() == 'A' ? 'E' : 'A';
  auto other_id = text;
  other_id[4] = other_id[4] == 'a' ? 'b' : 'a';
  for (const std::string& bad :
       {std::string("dsk_"), text.substr(0, 63), text + "A", flipped, other_id, "dsk_" + std::string(60, '_'),
        text.substr(0, 21) + std::string(43, '='), "dsk_" + std::string(16, 'A') + text.substr(20),
        text.substr(0, 20) + "-" + text.substr(21), text.substr(0, 21) + std::string(43, '\0'),
        text.substr(0, 21) + std::string(43, 'A')})
    EXPECT_EQ(why_not(bad), says) << bad;
  EXPECT_FALSE(good(text.substr(4)));
  EXPECT_TRUE(good(text));
}

TEST_F(AuthorityTest, RotationLeavesADayAndThenRefusesTheOldSecret) {
  const auto first = create();
  const auto& id = first.info.id;
  const auto second = authority->rotate_api_key(id, "admin-2", after(hours(1)));
  ASSERT_TRUE(second) << second.error().detail;
  EXPECT_EQ(second->info.id, id);
  EXPECT_NE(second->secret_text, first.secret_text);
  EXPECT_EQ(second->info.previous_until, after(hours(25)));
  EXPECT_TRUE(good(first.secret_text, after(hours(25) - std::chrono::microseconds(1))));
  EXPECT_FALSE(good(first.secret_text, after(hours(25))));
  EXPECT_TRUE(good(second->secret_text, after(hours(25))));
  const auto again = authority->rotate_api_key(id, "admin-2", after(hours(2)));
  ASSERT_FALSE(again) << "it would end the first at once";
  EXPECT_EQ(again.error().code, ErrorCode::kConflict);
  EXPECT_NE(again.error().detail.find(format_rfc3339_ms(after(hours(25)))), std::string::npos) << again.error().detail;
  EXPECT_TRUE(good(first.secret_text, after(hours(2))));
  // Forced within the grace: the one before goes.
  const auto third = authority->rotate_api_key(id, "admin-2", after(hours(2)), true);
  ASSERT_TRUE(third);
  EXPECT_FALSE(good(first.secret_text, after(hours(2))));
  EXPECT_TRUE(good(second->secret_text, after(hours(2))));
  EXPECT_TRUE(good(third->secret_text, after(hours(2))));
  EXPECT_EQ(store.entries.back().type, "key_rotated");
  EXPECT_EQ(store.entries.back().actor, "admin-2");
  EXPECT_EQ(authority->rotate_api_key("0000000000000000", "a", kNow).error().code, ErrorCode::kNotFound);
}

TEST_F(AuthorityTest, OfSeveralRotationsAtOnceOneWins) {
  const auto first = create();
  telemetry::Log silent(-1);
  telemetry::Metrics theirs;
  auto other = Authority::open(options, store, theirs, silent).value();
  std::atomic<int> won = 0, conflicts = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, &from = i % 2 == 0 ? authority : other] {
      const auto made = from->rotate_api_key(first.info.id, "a", after(hours(1)));
      ++(made ? won : conflicts);
      if (!made) {
        EXPECT_EQ(made.error().code, ErrorCode::kConflict);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(conflicts, 7);
  EXPECT_TRUE(good(first.secret_text, after(hours(1))));
}

TEST_F(AuthorityTest, ARevokedOrExpiredApiKeyIsOver) {
  const auto one = create(), brief = create({Scope::kAdmin}, after(hours(1)));
  EXPECT_TRUE(good(brief.secret_text, after(hours(1) - std::chrono::microseconds(1))));
  EXPECT_EQ(why_not(brief.secret_text, after(hours(1))), "the API key has expired");
  EXPECT_EQ(authority->rotate_api_key(brief.info.id, "a", after(hours(1))).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(authority->revoke_api_key(one.info.id, "admin-1", kNow));
  EXPECT_EQ(why_not(one.secret_text), "the API key has been revoked");
  const auto entries = store.entries.size();
  ASSERT_TRUE(authority->revoke_api_key(one.info.id, "admin-1", kNow));
  EXPECT_EQ(store.entries.size(), entries) << "again changes nothing";
  EXPECT_EQ(authority->rotate_api_key(one.info.id, "a", kNow).error().code, ErrorCode::kConflict);
  EXPECT_EQ(authority->revoke_api_key("0000000000000000", "a", kNow).error().code, ErrorCode::kNotFound);
  store.away = true;
  EXPECT_FALSE(authority->revoke_api_key(brief.info.id, "a", kNow));
  EXPECT_TRUE(good(brief.secret_text));
}

TEST_F(AuthorityTest, CreatingChecksItsInput) {
  const auto code = [&](ApiKeyRequest request) {
    const auto made = authority->create_api_key(request, "a", kNow);
    return made ? "" : made.error().fields.empty() ? "no field" : made.error().fields[0].field;
  };
  EXPECT_EQ(code({"", {Scope::kAdmin}, {}}), "name");
  EXPECT_EQ(code({std::string(129, 'a'), {Scope::kAdmin}, {}}), "name");
  EXPECT_EQ(code({"a\tb", {Scope::kAdmin}, {}}), "name");
  for (const auto* name : {"caf\xe9", "\xff", "a\u0085", "\u009b", "\xed\xa0\x80", "\x7f"})
    EXPECT_EQ(code({name, {Scope::kAdmin}, {}}), "name") << name;
  EXPECT_EQ(code({"a", {}, {}}), "scopes");
  EXPECT_EQ(code({"a", {Scope::kAdmin}, kNow}), "expires");
  EXPECT_EQ(code({"Kamera Süd", {Scope::kAdmin}, {}}), "");
  store.keys.resize(kApiKeysMost);
  EXPECT_EQ(authority->create_api_key({"a", {Scope::kAdmin}, {}}, "a", kNow).error().code,
            ErrorCode::kCapacityExceeded);
  store.keys[0].revoked = after(-hours(24 * 31));
  EXPECT_EQ(code({"a", {Scope::kAdmin}, {}}), "") << "revoked so long ago that it is forgotten";
}

TEST_F(AuthorityTest, AnUnknownScopeIsShownAsText) {
  for (const auto& word : {std::string(63, 'a') + "\u00fc", std::string("caf\xe9")}) {
    const auto verdict = parse_scope_list(word);
    ASSERT_FALSE(verdict);
    EXPECT_TRUE(is_utf8(verdict.error().detail)) << verdict.error().detail;
  }
}

TEST_F(AuthorityTest, AKeyOfOldWhoseNameIsNoTextIsShownAsText) {
  create();
  {
    const std::scoped_lock lock(store.mutex());
    store.keys[0].name = "caf\xe9";
  }
  EXPECT_EQ(authority->api_keys().value()[0].name, "caf\ufffd");
}

TEST_F(AuthorityTest, AStoreThatIsAwayTakesNothingAway) {
  const auto made = create();
  store.away = true;
  options.refresh = std::chrono::milliseconds(5);
  EXPECT_TRUE(good(made.secret_text));
  reopen();
  EXPECT_FALSE(good(made.secret_text)) << "not known yet";
  EXPECT_TRUE(good(token("1")));
  authority->start();
  {
    const std::scoped_lock lock(store.mutex());
    store.away = false;
  }
  for (int i = 0; i < 1000 && !good(made.secret_text); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(good(made.secret_text));
}

TEST_F(AuthorityTest, CommandsNeedNoSigningKey) {
  options = {};
  options.only_api_keys = true;
  reopen();
  const auto made = create();
  EXPECT_TRUE(good(made.secret_text));
  EXPECT_EQ(why_not(token("1")), "the token must name its key (kid)");
  EXPECT_FALSE(authority->grant(made.info.id, made.secret_text, "", kNow));
  EXPECT_FALSE(authority->sign("a text"));
  EXPECT_EQ(*authority->jwks(), R"({"keys":[]})");
}

TEST_F(AuthorityTest, GrantsShortTokensToItsKeys) {
  const auto made = create();
  const auto secret = made.secret_text.substr(21);
  for (const auto& [id, given] : std::vector<std::pair<std::string, std::string>>{
           {made.info.id, secret}, {"dsk_" + made.info.id, secret}, {made.info.id, made.secret_text}}) {
    const auto granted = authority->grant(id, given, "", kNow);
    ASSERT_TRUE(granted) << granted.error().detail;
    EXPECT_EQ(granted->scope, "detections:read detections:write");
    EXPECT_EQ(granted->life, hours(1));
    const auto principal = authority->authenticate(granted->access_token, kNow);
    ASSERT_TRUE(principal) << principal.error().detail;
    EXPECT_EQ((*principal)->subject, "api-key:" + made.info.id);
    EXPECT_EQ((*principal)->api_key_id, made.info.id);
    EXPECT_FALSE((*principal)->jti.empty());
    EXPECT_FALSE(good(granted->access_token, after(hours(1) + seconds(60))));
  }
  const auto narrow = authority->grant(made.info.id, secret, " detections:read ", kNow);
  ASSERT_TRUE(narrow);
  EXPECT_EQ(narrow->scope, "detections:read");
  for (const auto* scope : {"admin", "detections:read admin", "detections:fly", "detections:read,detections:write"}) {
    const auto verdict = authority->grant(made.info.id, secret, scope, kNow);
    ASSERT_FALSE(verdict) << scope;
    EXPECT_EQ(verdict.error().code, ErrorCode::kValidationFailed);
    EXPECT_EQ(verdict.error().fields.at(0).field, "scope");
  }
}

TEST_F(AuthorityTest, PublicKeysAloneGrantNothingAndSaySo) {
  const auto made = create();
  const TemporaryDirectory keys;
  write_file(keys.path() / "theirs.pem", AsymmetricKey(Kind::kEc).public_pem());
  options.key_file.clear();
  options.key_directory = keys.path();
  reopen();
  const auto verdict = authority->grant(made.info.id, made.secret_text, "", kNow);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, ErrorCode::kStoreUnavailable) << "no fault of ours";
  EXPECT_NE(verdict.error().detail.find("public keys only"), std::string::npos);
}

TEST_F(AuthorityTest, ATokenIdIsCountedInCharactersAndCanAlwaysBeRevoked) {
  std::string long_id;
  for (int i = 0; i < 128; ++i) long_id += "\u00fc";
  EXPECT_TRUE(good(token(long_id)));
  EXPECT_TRUE(authority->revoke_token(long_id, "a", kNow));
  EXPECT_EQ(why_not(token(long_id)), "the token has been revoked");
  EXPECT_FALSE(good(token(long_id + "x")));
  EXPECT_FALSE(good(token("a\u0085")));
}

TEST_F(AuthorityTest, GrantsNothingToOthers) {
  const auto made = create(), other = create();
  const auto secret = made.secret_text.substr(21);
  ASSERT_TRUE(authority->revoke_api_key(other.info.id, "a", kNow));
  for (const auto& [id, given] : std::vector<std::pair<std::string, std::string>>{{made.info.id, std::string(43, 'A')},
                                                                                  {made.info.id, ""},
                                                                                  {"", secret},
                                                                                  {"dsk_dsk_" + made.info.id, secret},
                                                                                  {"0000000000000000", secret},
                                                                                  {"../../etc/passwd", secret},
                                                                                  {other.info.id, made.secret_text},
                                                                                  {other.info.id, other.secret_text}}) {
    const auto verdict = authority->grant(id, given, "", kNow);
    ASSERT_FALSE(verdict) << id;
    EXPECT_EQ(verdict.error().code, ErrorCode::kUnauthorized);
    EXPECT_EQ(verdict.error().detail, "the client is not known, or its secret is wrong");
  }
}

TEST_F(AuthorityTest, AGrantedTokenEndsWithItsKey) {
  const auto made = create({Scope::kAdmin}, after(std::chrono::minutes(30)));
  const auto granted = authority->grant(made.info.id, made.secret_text, "", kNow);
  ASSERT_TRUE(granted);
  EXPECT_EQ(granted->life, std::chrono::minutes(30));
  EXPECT_TRUE(good(granted->access_token, after(std::chrono::minutes(30) - seconds(1))));
  EXPECT_FALSE(good(granted->access_token, after(std::chrono::minutes(30)))) << "without the clock skew";
  const auto second = create();
  const auto its = authority->grant(second.info.id, second.secret_text, "", kNow)->access_token;
  ASSERT_TRUE(good(its) && good(its));
  ASSERT_TRUE(authority->revoke_api_key(second.info.id, "a", kNow));
  EXPECT_EQ(why_not(its), "the API key has been revoked");
}

TEST_F(AuthorityTest, GrantedTokensCarryNamesThatAreAcceptedHere) {
  options.issuers = {"https://login.example"};
  options.audiences = {"maps"};
  reopen();
  const auto made = create();
  const auto granted = authority->grant(made.info.id, made.secret_text, "", kNow);
  ASSERT_TRUE(granted);
  EXPECT_TRUE(good(granted->access_token)) << why_not(granted->access_token);
}

TEST_F(AuthorityTest, SignsTextsWithWhatEverKeyThereIs) {
  const auto signature = authority->sign("a tombstone");
  ASSERT_TRUE(signature);
  EXPECT_TRUE(authority->verify("a tombstone", *signature));
  EXPECT_FALSE(authority->verify("another one", *signature));
  for (const auto* bad : {"", ":", "x:AAAA", "../x:AAAA"}) EXPECT_FALSE(authority->verify("a tombstone", bad));
  EXPECT_FALSE(authority->verify("a tombstone", signature->substr(0, signature->size() - 1)));
  reopen();
  EXPECT_TRUE(authority->verify("a tombstone", *signature));
}

}  // namespace
}  // namespace detection::security
