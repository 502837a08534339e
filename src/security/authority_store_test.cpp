// The authority on the real store: what it made is known after a restart, to other openers, and audited.

#include <gtest/gtest.h>

#include "security/authority.hpp"
#include "security/test_keys.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::security {
namespace {

using namespace testing;

class AuthorityStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(directory_.path() / "key", kHmacText);
    reopen();
  }
  void reopen() {
    authority.reset();
    if (store) store->close();
    store.reset();
    store::sqlite::Options place;
    place.directory = directory_.path() / "data";
    auto opened = store::sqlite::open(place);
    ASSERT_TRUE(opened) << opened.error().detail;
    store = std::move(*opened);
    AuthorityOptions options;
    options.key_file = directory_.path() / "key";
    auto made = Authority::open(options, *store, metrics_, log_);
    ASSERT_TRUE(made) << made.error().detail;
    authority = std::move(*made);
  }
  bool good(const std::string& credential) { return authority->authenticate(credential, system_now()).has_value(); }

 private:
  TemporaryDirectory directory_;
  telemetry::Metrics metrics_;
  telemetry::Log log_{-1};

 protected:
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Authority> authority;  // the first to go
};

TEST_F(AuthorityStoreTest, KeysAndRevocationsOutliveTheProcess) {
  const auto now = system_now();
  const auto one =
      authority->create_api_key({"one", {Scope::kAdmin, Scope::kAuditRead}, now + std::chrono::hours(1)}, "first", now);
  const auto two = authority->create_api_key({"zwei \"2\"", {Scope::kDetectionsRead}, {}}, "first",
                                             now + std::chrono::microseconds(1));
  ASSERT_TRUE(one && two);
  const auto rotated = authority->rotate_api_key(two->info.id, "second", now);
  ASSERT_TRUE(rotated) << rotated.error().detail;
  const auto granted = authority->grant(one->info.id, one->secret_text, "", now);
  ASSERT_TRUE(granted);
  EXPECT_TRUE(good(one->secret_text) && good(two->secret_text) && good(rotated->secret_text) &&
              good(granted->access_token));
  const auto who = authority->authenticate(granted->access_token, now);
  ASSERT_TRUE(who);
  ASSERT_TRUE(authority->revoke_token((*who)->jti, "second", now));
  authority->start();
  authority->stop();  // writes when they were used
  reopen();
  EXPECT_TRUE(good(one->secret_text) && good(two->secret_text) && good(rotated->secret_text));
  EXPECT_FALSE(good(granted->access_token));
  const auto listed = authority->api_keys();
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[0].name, "one");
  EXPECT_EQ((*listed)[0].scopes, (ScopeSet{Scope::kAdmin, Scope::kAuditRead}));
  EXPECT_EQ((*listed)[0].created_by, "first");
  EXPECT_EQ((*listed)[0].expires, now + std::chrono::hours(1));
  EXPECT_TRUE((*listed)[0].last_used);
  EXPECT_EQ((*listed)[1].previous_until, now + kRotationGrace);
  ASSERT_TRUE(authority->revoke_api_key(one->info.id, "second", now));
  reopen();
  EXPECT_FALSE(good(one->secret_text));
  EXPECT_TRUE(good(rotated->secret_text));
}

TEST_F(AuthorityStoreTest, EveryChangeIsAuditedWithoutTheSecret) {
  const auto now = system_now();
  const auto made = authority->create_api_key({"one", {Scope::kAdmin}, {}}, "an admin", now);
  ASSERT_TRUE(made);
  const auto rotated = authority->rotate_api_key(made->info.id, "an admin", now);
  ASSERT_TRUE(rotated);
  ASSERT_TRUE(authority->revoke_api_key(made->info.id, "another", now));
  ASSERT_TRUE(authority->revoke_token("some-jti", "another", now));
  const auto page = store->search_audit({}, "", 100);
  ASSERT_TRUE(page) << page.error().detail;
  std::vector<std::string> types;
  for (const auto& item : page->items) {
    types.push_back(item.event.type);
    for (const auto& text : {made->secret_text, rotated->secret_text})
      EXPECT_EQ(item.event.detail_json.find(text.substr(21)), std::string::npos);
  }
  for (const auto* type : {"key_created", "key_rotated", "key_revoked", "token_revoked"})
    EXPECT_EQ(std::count(types.begin(), types.end(), type), 1) << type;
  const auto verdict = store->verify_audit();
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->valid) << verdict->first_bad.value_or("");
}

}  // namespace
}  // namespace detection::security
