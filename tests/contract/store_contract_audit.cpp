// The audit as it is searched and handed out, and credentials.

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>

#include "contract/store_contract.hpp"

namespace detection::store::testing {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

namespace {

constexpr Uuid kSubject{{0xab}};

/// All pages of a search, and how the pages were asked for.
std::vector<AuditPage::Item> search(Store& store, const AuditFilter& filter, std::size_t limit = 1000) {
  std::vector<AuditPage::Item> all;
  std::string cursor;
  for (int pages = 0; pages < 10'000; ++pages) {
    auto page = store.search_audit(filter, cursor, limit);
    EXPECT_TRUE(page) << page.error().detail;
    if (!page) return all;
    EXPECT_LE(page->items.size(), limit);
    std::ranges::move(page->items, std::back_inserter(all));
    if (!page->next) return all;
    cursor = *page->next;
  }
  ADD_FAILURE() << "a search without end";
  return all;
}

std::vector<std::string> types(const std::vector<AuditPage::Item>& items) {
  std::vector<std::string> out;
  for (const auto& item : items) out.push_back(item.event.type);
  return out;
}

std::string text_of(const AuditPage::Item& item) {
  return item.event.chain + " " + std::to_string(item.event.record) + " " + item.event.type + " " +
         std::to_string(item.event.at.count) + " " + (item.subject ? to_string(*item.subject) : "-");
}

ApiKeyRecord key_named(const std::string& id, std::int64_t created) {
  ApiKeyRecord key;
  key.id = id;
  key.name = "of " + id;
  key.secret_sha256[0] = 1;
  key.secret_sha256[31] = 2;
  key.scopes = "detections:read detections:write";
  key.created_by = "ann";
  key.created = {created};
  return key;
}

void expect_same(const ApiKeyRecord& a, const ApiKeyRecord& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.secret_sha256, b.secret_sha256);
  EXPECT_EQ(a.previous_sha256, b.previous_sha256);
  EXPECT_EQ(a.previous_until, b.previous_until);
  EXPECT_EQ(a.scopes, b.scopes);
  EXPECT_EQ(a.created_by, b.created_by);
  EXPECT_EQ(a.created, b.created);
  EXPECT_EQ(a.rotated, b.rotated);
  EXPECT_EQ(a.expires, b.expires);
  EXPECT_EQ(a.revoked, b.revoked);
  EXPECT_EQ(a.last_used, b.last_used);
}

}  // namespace

TEST_P(StoreContract, ASearchShowsTheEventsThatRecordsStandFor) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 1);
  confirm(claim("tak", 5));
  ASSERT_TRUE(store().record({.type = "auth_failure",
                              .severity = "WARNING",
                              .actor = "mallory",
                              .subject = kSubject,
                              .detail_json = R"({"reason":"expired"})"}));
  const auto all = search(store(), {});
  EXPECT_THAT(types(all), ElementsAre("auth_failure", "detection_synced", "tak_push_success", "tak_push_attempted",
                                      "detection_queued", "cot_generated", "geolocation_calculated",
                                      "detection_validated", "detection_received"));
  EXPECT_EQ(all[0].subject, kSubject);
  EXPECT_EQ(all[0].event.detail_json, R"({"reason":"expired"})");
  EXPECT_EQ(all[0].event.severity, "WARNING");
  EXPECT_EQ(all[0].event.actor, "mallory");
  EXPECT_EQ(all[1].subject, std::nullopt) << "a delivery is about many";
  EXPECT_EQ(all[4].subject, sample_id(1));
  EXPECT_EQ(all[8].event.at, sample(1).times.received);
  EXPECT_EQ(all[8].event.actor, "detector");

  EXPECT_THAT(types(search(store(), {.type = "auth_failure"})), ElementsAre("auth_failure"));
  EXPECT_THAT(types(search(store(), {.type = "cot_generated"})), ElementsAre("cot_generated"));
  EXPECT_THAT(types(search(store(), {.type = "tak_push_success"})), ElementsAre("tak_push_success"));
  EXPECT_THAT(search(store(), {.type = "acceptance"}), IsEmpty()) << "no event is called so";
  EXPECT_THAT(types(search(store(), {.severity = "WARNING"})), ElementsAre("auth_failure"));
  EXPECT_THAT(search(store(), {.severity = "ERROR"}), IsEmpty());
  EXPECT_EQ(search(store(), {.actor = "detector"}).size(), 5U);
  EXPECT_THAT(types(search(store(), {.subject = kSubject})), ElementsAre("auth_failure"));
  EXPECT_THAT(search(store(), {.subject = sample_id(9)}), IsEmpty());
  const auto of_one = search(store(), {.subject = sample_id(1)});
  EXPECT_EQ(of_one.size(), 8U);
  for (const auto& item : of_one) EXPECT_EQ(item.subject, sample_id(1));
  EXPECT_THAT(types(search(store(), {.type = "detection_synced", .subject = sample_id(1)})),
              ElementsAre("detection_synced"));
  // The times are those of the events, not of the record.
  const auto times = sample(1).times;
  EXPECT_THAT(types(search(store(), {.since = times.validated, .until = times.cot_made})),
              ElementsAre("geolocation_calculated", "detection_validated"));
}

TEST_P(StoreContract, ASearchInPagesFindsWhatALookAtEachEventWouldFind) {
  ASSERT_TRUE(store().open_sink("tak"));
  std::mt19937 random(23);
  const auto upto = [&](unsigned n) { return static_cast<int>(random() % n); };
  const std::string kinds[] = {"auth_failure", "key_created", "detection_queued"};
  const std::string severities[] = {"INFO", "WARNING", "ERROR"}, actors[] = {"ann", "bob", "detector"};
  std::uint64_t next = 1;
  for (int round = 0; round < 40; ++round) {
    const auto count = static_cast<std::uint64_t>(1 + upto(12));
    put(next, next + count - 1, [&](Acceptance& item) { item.actor = actors[upto(3)]; });
    next += count;
    if (upto(2) == 0) confirm(claim("tak", 7));
    for (int k = upto(4); k > 0; --k) {
      AuditEntry entry{.type = kinds[upto(3)], .severity = severities[upto(3)], .actor = actors[upto(3)]};
      if (upto(2) == 0) entry.subject = sample_id(static_cast<std::uint64_t>(1 + upto(30)));
      ASSERT_TRUE(store().record(entry));
    }
  }
  const auto all = search(store(), {});
  ASSERT_GT(all.size(), 1'000U);
  std::vector<UtcMicros> times;
  for (const auto& item : all) times.push_back(item.event.at);
  const std::string all_kinds[] = {"auth_failure",       "key_created",      "detection_queued", "detection_received",
                                   "tak_push_attempted", "detection_synced", "cot_generated"};
  for (int round = 0; round < 150; ++round) {
    AuditFilter filter;
    if (upto(2) == 0) filter.type = all_kinds[upto(7)];
    if (upto(3) == 0) filter.severity = severities[upto(3)];
    if (upto(3) == 0) filter.actor = actors[upto(3)];
    if (upto(3) == 0) filter.since = times[static_cast<std::size_t>(upto(static_cast<unsigned>(times.size())))];
    if (upto(3) == 0) filter.until = times[static_cast<std::size_t>(upto(static_cast<unsigned>(times.size())))];
    std::vector<std::string> expected, got;
    for (const auto& item : all)
      if (filter.type.value_or(item.event.type) == item.event.type &&
          filter.severity.value_or(item.event.severity) == item.event.severity &&
          filter.actor.value_or(item.event.actor) == item.event.actor &&
          (!filter.since || item.event.at >= *filter.since) && (!filter.until || item.event.at < *filter.until))
        expected.push_back(text_of(item));
    for (const auto& item : search(store(), filter, static_cast<std::size_t>(1 + upto(60))))
      got.push_back(text_of(item));
    ASSERT_EQ(got, expected) << "round " << round;
  }
}

TEST_P(StoreContract, PagesOfASearchStandStillWhileMoreIsWritten) {
  put(1, 3);
  const auto before = search(store(), {});
  std::vector<std::string> expected, got;
  for (const auto& item : before) expected.push_back(text_of(item));
  std::string cursor;
  for (int i = 0; i < 100; ++i) {
    const auto page = store().search_audit({}, cursor, 2);
    ASSERT_TRUE(page);
    for (const auto& item : page->items) got.push_back(text_of(item));
    if (!page->next) break;
    cursor = *page->next;
    ASSERT_TRUE(store().record({.type = "config_loaded"}));
  }
  EXPECT_EQ(got, expected);
  got.clear();
  cursor.clear();
  const AuditFilter of_one{.subject = sample_id(2)};
  for (int i = 0; i < 100; ++i) {
    const auto page = store().search_audit(of_one, cursor, 2);
    ASSERT_TRUE(page);
    for (const auto& item : page->items) got.push_back(item.event.type);
    if (!page->next) break;
    cursor = *page->next;
    ASSERT_TRUE(store().record({.type = "error_occurred", .subject = sample_id(2)}));
  }
  EXPECT_THAT(got, ElementsAre("detection_queued", "cot_generated", "geolocation_calculated", "detection_validated",
                               "detection_received"));
}

TEST_P(StoreContract, ACursorThatIsNoneIsRefused) {
  put(1, 3);
  const auto good = store().search_audit({}, "", 2)->next;
  ASSERT_TRUE(good);
  EXPECT_TRUE(store().search_audit({}, *good, 2));
  for (const std::string& bad :
       {std::string("x"), std::string("r"), std::string("r1"), std::string("r1.1-"), std::string("r1.1-1.-5"),
        std::string("r1.1-9223372036854775807.1"), std::string("r1.1-1.9223372036854775807"),
        std::string("r99999999999999999999.1"), std::string("s1"), std::string("r1.1-2.1-1.1"), *good + "x",
        *good + std::string(1, '\0')}) {
    const auto page = store().search_audit({}, bad, 2);
    ASSERT_FALSE(page) << bad;
    EXPECT_EQ(page.error().code, ErrorCode::kValidationFailed);
  }
  EXPECT_FALSE(store().search_audit({.subject = sample_id(1)}, *good, 2)) << "that of another search";
}

TEST_P(StoreContract, TheExportHandsOutEachRecordOnce) {
  put(1, 600);
  ASSERT_TRUE(store().record({.type = "key_created", .actor = "ann \"\\\n", .subject = kSubject}));
  std::map<std::string, std::int64_t> last;
  std::string final_json;
  const auto done = store().export_audit([&](const AuditRecordText& record) {
    EXPECT_EQ(record.record, ++last[record.chain]);
    final_json = record.json;
    EXPECT_EQ(record.json.find('\n'), std::string::npos);
    return true;
  });
  ASSERT_TRUE(done) << done.error().detail;
  std::int64_t records = 0;
  for (const auto& [chain, number] : last) records += number;
  EXPECT_EQ(records, store().verify_audit()->records);
  EXPECT_THAT(final_json, HasSubstr(R"("subject":"ab000000000000000000000000000000")"));
  int seen = 0;
  ASSERT_TRUE(store().export_audit([&](const AuditRecordText&) { return ++seen < 3; }));
  EXPECT_EQ(seen, 3);
}

TEST_P(StoreContract, WhatIsYoungerThanTheRetentionIsNotPruned) {
  put(1, 3);
  EXPECT_EQ(store().prune_audit(system_now() + -kAuditRetentionLeast, "ann").error().code, ErrorCode::kConfiguration)
      << "nothing to sign with";
  store().set_tombstone_signer({.sign = [](std::string_view) -> Result<std::string> { return "signed"; },
                                .verify = [](std::string_view, std::string_view) { return true; }});
  for (const UtcMicros before : {system_now(), system_now() + -std::chrono::days{89}}) {
    const auto pruned = store().prune_audit(before, "ann");
    ASSERT_FALSE(pruned);
    EXPECT_EQ(pruned.error().code, ErrorCode::kValidationFailed);
  }
  EXPECT_EQ(store().prune_audit(system_now() + -kAuditRetentionLeast, "ann"), 0) << "all is younger";
  EXPECT_EQ(search(store(), {.type = "audit_pruned"}).size(), 0U);
  expect_valid_audit();
}

TEST_P(StoreContract, ApiKeysAreKeptWithTheirAudit) {
  auto first = key_named("k1", 100);
  first.expires = UtcMicros{9'000};
  auto second = key_named("k0", 200);
  ASSERT_TRUE(store().put_api_key(second, {.type = "key_created", .actor = "bob"}));
  ASSERT_TRUE(store().put_api_key(first, {.type = "key_created", .actor = "ann", .detail_json = R"({"id":"k1"})"}));
  reopen();
  auto keys = store().api_keys();
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 2U);
  expect_same(keys->at(0), first);
  expect_same(keys->at(1), second);

  first.previous_sha256 = first.secret_sha256;
  first.previous_until = UtcMicros{500};
  first.secret_sha256[5] = 9;
  first.rotated = UtcMicros{400};
  auto stale = first;
  stale.secret_sha256.fill(0xee);
  const auto refused = store().put_api_key(stale, {.type = "key_rotated", .actor = "eve"}, stale.secret_sha256);
  ASSERT_FALSE(refused) << "it has another secret";
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  ASSERT_TRUE(store().put_api_key(first, {.type = "key_rotated", .severity = "WARNING", .actor = "ann"}));
  expect_same(store().api_keys()->at(0), first);
  const auto events = search(store(), {.type = "key_rotated"});
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].event.severity, "WARNING");
  EXPECT_EQ(search(store(), {.type = "key_created"}).size(), 2U);

  const auto records = store().verify_audit()->records;
  ASSERT_TRUE(store().touch_api_keys({{"k1", {700}}, {"nobody", {700}}}));
  ASSERT_TRUE(store().touch_api_keys({{"k1", {600}}}));
  first.last_used = UtcMicros{700};
  expect_same(store().api_keys()->at(0), first);
  EXPECT_EQ(store().verify_audit()->records, records) << "a use is no audited event";

  auto revoked = first;
  revoked.revoked = UtcMicros{800};
  revoked.last_used.reset();
  ASSERT_TRUE(store().put_api_key(revoked, {.type = "key_revoked", .actor = "ann"}));
  ASSERT_TRUE(store().put_api_key(first, {.type = "key_rotated", .actor = "ann"}));
  EXPECT_EQ(store().api_keys()->at(0).revoked, UtcMicros{800}) << "a revoked key stays revoked";
  EXPECT_EQ(store().api_keys()->at(0).last_used, UtcMicros{700});
  // Its end was long ago, so it goes with the next one that comes.
  auto third = second;
  third.id = "k3";
  ASSERT_TRUE(store().put_api_key(third, {.type = "key_created", .actor = "ann"}));
  const auto left = store().api_keys();
  ASSERT_EQ(left->size(), 2U);
  for (const auto& key : *left) EXPECT_NE(key.id, first.id);
  expect_valid_audit();
}

TEST_P(StoreContract, RevokedTokensAreKeptForAsLongAsTheyCouldLive) {
  const auto later = system_now() + std::chrono::hours{1};
  ASSERT_TRUE(store().revoke_token({"old", {1'000}}, {.type = "key_revoked", .actor = "ann"}));
  ASSERT_TRUE(store().revoke_token({"a", later}, {.type = "key_revoked", .actor = "ann"}));
  ASSERT_TRUE(store().revoke_token({"b'; --", later}, {.type = "key_revoked", .actor = "ann"}));
  ASSERT_TRUE(store().revoke_token({"a", {later.count - 5}}, {.type = "key_revoked", .actor = "ann"}));
  reopen();
  const auto tokens = store().revoked_tokens();
  ASSERT_TRUE(tokens);
  std::vector<std::string> names;
  for (const auto& token : *tokens) {
    names.push_back(token.jti);
    EXPECT_EQ(token.until, later);
  }
  EXPECT_THAT(names, UnorderedElementsAre("a", "b'; --"));
  EXPECT_EQ(search(store(), {.type = "key_revoked"}).size(), 4U);
  expect_valid_audit();
}

}  // namespace detection::store::testing
