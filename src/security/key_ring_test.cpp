#include "security/key_ring.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "security/test_keys.hpp"
#include "security/token_verifier.hpp"

namespace detection::security {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

const UtcMicros kNow{1'790'000'000'000'000};
const std::string kClaims = R"({"sub":"a","exp":1790000600})";

std::atomic<std::int64_t> test_time_ms{0};
SteadyTime test_clock() {
  return SteadyTime(milliseconds(test_time_ms.load()));
}

std::string hmac_text(int i) {
  return hex(as_text(sha256("key " + std::to_string(i))));
}

class KeyRingTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path dir() const { return directory_.path() / "keys"; }
  void SetUp() override { std::filesystem::create_directory(dir()); }
  Result<void> open(AuthorityOptions options) {
    auto ring = KeyRing::open(options, epoch, metrics, log_, test_clock);
    if (!ring) return std::unexpected(ring.error());
    ring_ = std::move(*ring);
    verifier_.emplace(*ring_, TokenRules{});
    return {};
  }
  Result<void> open_directory(std::string signing_key = "") {
    return open({.key_file = {},
                 .key_directory = dir(),
                 .signing_key = std::move(signing_key),
                 .issuers = {},
                 .audiences = {}});
  }
  Result<void> open_file() {
    return open({.key_file = dir() / "file", .key_directory = {}, .signing_key = {}, .issuers = {}, .audiences = {}});
  }
  void pass(milliseconds time) {
    test_time_ms += time.count();
    ring_->refresh();
  }
  bool good(const std::string& token) { return verifier_->verify(token, kNow).has_value(); }
  static std::string token(const std::string& kid, const std::string& key) {
    return hmac_token(R"({"alg":"HS256","kid":")" + kid + "\"}", kClaims, key);
  }
  static std::string token(const std::string& kid, const AsymmetricKey& key) {
    return key.token(R"({"alg":")" + std::string(key.algorithm()) + R"(","kid":")" + kid + "\"}", kClaims);
  }
  bool metrics_say(const std::string& text) { return metrics.expose().find(text) != std::string::npos; }
  /// Uses up the looks that tokens may cause, so that only refresh() looks.
  void no_more_looks() {
    for (int i = 0; i < 8; ++i) ASSERT_FALSE(ring_->look_for_others_than(*ring_->keys()));
  }

  std::atomic<std::uint64_t> epoch{1};
  telemetry::Metrics metrics;

 private:
  TemporaryDirectory directory_;
  telemetry::Log log_{-1};
  std::optional<TokenVerifier> verifier_;

 protected:
  std::unique_ptr<KeyRing> ring_;
};

TEST_F(KeyRingTest, DoesNotStartWithoutGoodKeysAndSaysHowToMakeOne) {
  const auto expect_refused = [&](Result<void> opened, std::string_view says) {
    ASSERT_FALSE(opened) << says;
    EXPECT_EQ(opened.error().code, ErrorCode::kConfiguration);
    EXPECT_NE(opened.error().detail.find(says), std::string::npos) << opened.error().detail;
    EXPECT_NE(opened.error().detail.find("openssl"), std::string::npos) << opened.error().detail;
  };
  expect_refused(open({}), "no key");
  expect_refused(open_directory(), "holds no key");
  expect_refused(open_file(), "does not exist");
  write_file(dir() / "good.pem", AsymmetricKey(Kind::kEd25519).public_pem());
  ASSERT_TRUE(open_directory());
  EXPECT_EQ(ring_->keys()->signing.key, nullptr);
  expect_refused(open_directory("good"), "public part");
  expect_refused(open_directory("other"), "is not there");
  write_file(dir() / "weak", "too short");
  expect_refused(open_directory(), "weak: the signing key has 9 bytes");
  write_file(dir() / "weak", "changeme-changeme-changeme-changeme");
  expect_refused(open_directory(), "well-known");
  std::filesystem::remove(dir() / "weak");
  write_file(dir() / "good.key", AsymmetricKey(Kind::kEd25519).public_pem());
  EXPECT_FALSE(open_directory()) << "one kid, two files";
  std::filesystem::remove(dir() / "good.key");
  write_file(dir() / "a b", hmac_text(1));
  EXPECT_FALSE(open_directory()) << "not a kid";
  std::filesystem::remove(dir() / "a b");
  ASSERT_EQ(::mkfifo((dir() / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(open_directory()) << "must not wait for the pipe";
  std::filesystem::remove(dir() / "pipe");
  for (int i = 0; i < 64; ++i) write_file(dir() / ("k" + std::to_string(i)), hmac_text(i));
  EXPECT_FALSE(open_directory()) << "65 keys";
}

TEST_F(KeyRingTest, HiddenFilesAndFoldersAreNoKeys) {
  write_file(dir() / "k.key", hmac_text(1));
  write_file(dir() / ".hidden", "x");
  std::filesystem::create_directory(dir() / "..2026");
  std::filesystem::create_directory(dir() / "folder");
  ASSERT_TRUE(open_directory());
  EXPECT_TRUE(good(token("k", hmac_text(1))));
  EXPECT_TRUE(good(hmac_token(R"({"alg":"HS256"})", kClaims, hmac_text(1)))) << "the only key needs no kid";
  write_file(dir() / "l", hmac_text(2));
  pass(seconds(1));
  EXPECT_TRUE(good(token("l", hmac_text(2))));
  EXPECT_FALSE(good(hmac_token(R"({"alg":"HS256"})", kClaims, hmac_text(1)))) << "which of two?";
}

TEST_F(KeyRingTest, TheSameTextInFileAndDirectoryIsOneKeyUnderBothKids) {
  write_file(dir() / "file", hmac_text(1));
  ASSERT_TRUE(
      open({.key_file = dir() / "file", .key_directory = dir(), .signing_key = {}, .issuers = {}, .audiences = {}}));
  const auto id = ring_->keys()->signing.kid;
  EXPECT_EQ(id.size(), 16U);
  EXPECT_TRUE(good(token("file", hmac_text(1))));
  EXPECT_TRUE(good(token(id, hmac_text(1))));
  EXPECT_TRUE(good(hmac_token(R"({"alg":"HS256"})", kClaims, hmac_text(1))));
  EXPECT_TRUE(metrics_say("key_created_timestamp_seconds{key=\"" + id + "\"} 1"));
  EXPECT_FALSE(metrics_say("key=\"file\"")) << "one key, one age: a name that stays at a rotation would count as old";
}

TEST_F(KeyRingTest, KeysComeAndGoWithTheirFiles) {
  const AsymmetricKey one(Kind::kEc), two(Kind::kEd25519);
  write_file(dir() / "one.pem", one.public_pem());
  ASSERT_TRUE(open_directory());
  EXPECT_TRUE(metrics_say("key_created_timestamp_seconds{key=\"one\"} 1"));
  const auto before = epoch.load();
  write_file(dir() / "two.pem", two.public_pem());
  EXPECT_TRUE(good(token("two", two))) << "a token of an unknown key looks at once";
  EXPECT_TRUE(good(token("one", one)));
  EXPECT_NE(ring_->keys()->jwks->find("\"two\""), std::string::npos);
  EXPECT_GT(epoch.load(), before);
  std::filesystem::remove(dir() / "one.pem");
  pass(seconds(1));
  EXPECT_FALSE(good(token("one", one)));
  EXPECT_TRUE(good(token("two", two)));
  EXPECT_EQ(ring_->keys()->jwks->find("\"one\""), std::string::npos);
  EXPECT_TRUE(metrics_say("key_created_timestamp_seconds{key=\"one\"} 0"));
  const auto quiet = epoch.load();
  for (int i = 0; i < 5; ++i) pass(seconds(1));
  EXPECT_EQ(epoch.load(), quiet) << "nothing changed";
}

TEST_F(KeyRingTest, RotatesByTheSwapThatKubernetesDoes) {
  MountedSecret secret(dir());
  secret.publish({{"k1", hmac_text(1)}, {"k2", hmac_text(2)}});
  ASSERT_TRUE(open_directory());
  for (int i = 1; i < 30; ++i) {
    const auto older = "k" + std::to_string(i), newer = "k" + std::to_string(i + 1),
               newest = "k" + std::to_string(i + 2);
    ASSERT_TRUE(good(token(older, hmac_text(i))));
    ASSERT_TRUE(good(token(newer, hmac_text(i + 1))));
    secret.publish({{newer, hmac_text(i + 1)}, {newest, hmac_text(i + 2)}});
    test_time_ms += 1'000;
    ASSERT_TRUE(good(token(newest, hmac_text(i + 2)))) << "at once";
    ASSERT_TRUE(good(token(newer, hmac_text(i + 1))));
    ASSERT_FALSE(good(token(older, hmac_text(i))));
  }
  // The same kid with another content: a swap is whole, so it counts at once.
  secret.publish({{"k30", hmac_text(77)}, {"k31", hmac_text(31)}});
  test_time_ms += 1'000;
  EXPECT_TRUE(good(token("k30", hmac_text(77))));
  EXPECT_FALSE(good(token("k30", hmac_text(30))));
}

TEST_F(KeyRingTest, ARenamedFileCountsAtOnceAndOneWrittenInPlaceWhenItHoldsStill) {
  write_file(dir() / "file", hmac_text(1));
  ASSERT_TRUE(open_file());
  const auto plain = [](int i) { return hmac_token(R"({"alg":"HS256"})", kClaims, hmac_text(i)); };
  EXPECT_TRUE(good(plain(1)));
  replace_file(dir() / "file", hmac_text(2));
  EXPECT_TRUE(good(plain(2)));
  EXPECT_FALSE(good(plain(1)));

  // Half of the new text is long enough for a key, and must not be taken for one.
  write_file(dir() / "file", hmac_text(3).substr(0, 40));
  pass(milliseconds(400));
  EXPECT_TRUE(good(plain(2)));
  EXPECT_FALSE(good(hmac_token(R"({"alg":"HS256"})", kClaims, hmac_text(3).substr(0, 40))));
  write_file(dir() / "file", hmac_text(3));
  pass(milliseconds(400));
  EXPECT_TRUE(good(plain(2))) << "not yet still";
  pass(seconds(1));
  EXPECT_TRUE(good(plain(3)));
  EXPECT_FALSE(good(plain(2)));
}

TEST_F(KeyRingTest, ABadFileKeepsTheLastGoodVersionAndIsSaid) {
  const AsymmetricKey one(Kind::kRsa);
  write_file(dir() / "one.pem", one.public_pem());
  write_file(dir() / "file", hmac_text(1));
  ASSERT_TRUE(
      open({.key_file = dir() / "file", .key_directory = dir(), .signing_key = {}, .issuers = {}, .audiences = {}}));
  EXPECT_TRUE(metrics_say("key_files_unusable 0"));
  for (const std::string& bad :
       {std::string(), one.public_pem().substr(0, 100), std::string("short"), std::string(20'000, 'x')}) {
    replace_file(dir() / "one.pem", bad);
    write_file(dir() / "file", "");
    for (int i = 0; i < 3; ++i) {
      pass(seconds(1));
      EXPECT_TRUE(good(token("one", one))) << bad.size();
      EXPECT_TRUE(good(hmac_token(R"({"alg":"HS256"})", kClaims, hmac_text(1))));
    }
    EXPECT_TRUE(metrics_say("key_files_unusable 2")) << bad.size();
  }
  // Bad names are said too, and harm nobody.
  write_file(dir() / "one.key", hmac_text(5));
  pass(seconds(1));
  EXPECT_TRUE(metrics_say("key_files_unusable 3"));
  EXPECT_TRUE(good(token("one", one)));
  std::filesystem::remove(dir() / "one.key");
  write_file(dir() / "one.pem", one.private_pem());
  write_file(dir() / "file", hmac_text(1));
  pass(seconds(1));
  pass(seconds(1));
  EXPECT_TRUE(good(token("one", one)));
  EXPECT_TRUE(metrics_say("key_files_unusable 0"));
}

TEST_F(KeyRingTest, AnUnreadableDirectoryTakesNothingAway) {
  MountedSecret secret(dir() / "mount");
  secret.publish({{"k1", hmac_text(1)}});
  ASSERT_TRUE(
      open({.key_file = {}, .key_directory = dir() / "mount", .signing_key = {}, .issuers = {}, .audiences = {}}));
  // A file in the way that cannot be opened as one.
  std::filesystem::create_directory(dir() / "folder");
  std::filesystem::remove(dir() / "mount" / "k1");
  std::filesystem::create_directory_symlink(dir() / "folder", dir() / "mount" / "k1");
  pass(seconds(1));
  EXPECT_TRUE(good(token("k1", hmac_text(1))));
}

TEST_F(KeyRingTest, BadTokensCauseOnlySoManyLooksAndHideNoNewKey) {
  write_file(dir() / "file", hmac_text(1));
  ASSERT_TRUE(open_file());
  std::this_thread::sleep_for(milliseconds(50));  // a tick of the file system's clock
  pass(seconds(1));
  no_more_looks();
  replace_file(dir() / "file", hmac_text(2));
  EXPECT_TRUE(good(hmac_token(R"({"alg":"HS256"})", kClaims, hmac_text(2))));
  ASSERT_TRUE(open_directory());
  std::this_thread::sleep_for(milliseconds(50));
  pass(seconds(1));
  no_more_looks();
  write_file(dir() / "k2", hmac_text(3));
  EXPECT_TRUE(good(token("k2", hmac_text(3))));
}

TEST_F(KeyRingTest, ANewKeySignsWhenTheOthersHaveIt) {
  const AsymmetricKey one(Kind::kEd25519), two(Kind::kEd25519);
  write_file(dir() / "1.pem", one.private_pem());
  write_file(dir() / "3.pem", AsymmetricKey(Kind::kEc).public_pem());
  ASSERT_TRUE(open_directory());
  EXPECT_EQ(ring_->keys()->signing.kid, "1");
  write_file(dir() / "2.pem", two.private_pem());
  pass(seconds(1));
  EXPECT_EQ(ring_->keys()->signing.kid, "1");
  const auto changes = epoch.load();
  pass(seconds(88));
  EXPECT_EQ(ring_->keys()->signing.kid, "1");
  pass(seconds(3));
  EXPECT_EQ(ring_->keys()->signing.kid, "2");
  EXPECT_EQ(epoch.load(), changes) << "what verifies is the same";
  // The one that signs goes: the other takes over at once.
  std::filesystem::remove(dir() / "2.pem");
  pass(seconds(1));
  EXPECT_EQ(ring_->keys()->signing.kid, "1");
  // A new one is better than none.
  write_file(dir() / "4.pem", two.private_pem());
  std::filesystem::remove(dir() / "1.pem");
  pass(seconds(1));
  EXPECT_EQ(ring_->keys()->signing.kid, "4");
}

TEST_F(KeyRingTest, TheNamedKeySignsElseTheKeyFile) {
  write_file(dir() / "file", hmac_text(1));
  write_file(dir() / "z.pem", AsymmetricKey(Kind::kEc).private_pem());
  AuthorityOptions options{
      .key_file = dir() / "file", .key_directory = dir(), .signing_key = {}, .issuers = {}, .audiences = {}};
  ASSERT_TRUE(open(options));
  EXPECT_EQ(ring_->keys()->signing.key->algorithm(), Algorithm::kHs256);
  options.signing_key = "z";
  ASSERT_TRUE(open(options));
  EXPECT_EQ(ring_->keys()->signing.kid, "z");
  EXPECT_EQ(ring_->keys()->signing_texts.key->algorithm(), Algorithm::kHs256);
  EXPECT_EQ(ring_->keys()->jwks->find("HS256"), std::string::npos);
  const auto keys = nlohmann::json::parse(*ring_->keys()->jwks).at("keys");
  ASSERT_EQ(keys.size(), 1U) << "never a symmetric one";
}

}  // namespace
}  // namespace detection::security
