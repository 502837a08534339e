// Pruning, the export, and a second writer beside the serving one.

#include <gmock/gmock.h>

#include <fstream>
#include <mutex>
#include <thread>

#include "detection/text.hpp"
#include "store/sqlite/audit_support.hpp"
#include "store/sqlite/limits.hpp"
#include "store/sqlite/schema.hpp"
#include "test_paths.hpp"

namespace detection::store::sqlite {

using namespace sql;
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;
using days = std::chrono::days;

std::vector<std::string> types(Store& store, const Uuid& id) {
  std::vector<std::string> out;
  const auto events = store.timeline(id);
  EXPECT_TRUE(events);
  if (events)
    for (const auto& event : *events) out.push_back(event.type);
  return out;
}

std::int64_t pruned_up_to(Store& store, const std::string& chain) {
  const auto verdict = store.verify_audit();
  EXPECT_TRUE(verdict);
  if (!verdict) return -1;
  for (const auto& one : verdict->chains)
    if (one.name == chain) return one.pruned_up_to;
  return -1;
}

/// Writes the export and has it looked at by a program of another language: its exit code and what it says.
std::pair<int, std::string> checked_elsewhere(const std::vector<std::string>& lines,
                                              const std::filesystem::path& place) {
  const auto file = place / "export.ndjson", said = place / "said";
  {
    std::ofstream out(file);
    for (const auto& line : lines) out << line << '\n';
  }
  const std::string command = "python3 " DETECTION_SOURCE_ROOT "/tests/tools/check_audit_export.py " + file.string() +
                              " > " + said.string() + " 2>&1";
  const int code = std::system(command.c_str());  // NOLINT(cert-env33-c,concurrency-mt-unsafe): a fixed command
  std::ifstream in(said);
  return {code, std::string(std::istreambuf_iterator<char>(in), {})};
}

std::vector<std::string> exported(Store& store) {
  std::vector<std::string> lines;
  const auto done = store.export_audit([&](const AuditRecordText& record) {
    lines.push_back(record.json);
    return true;
  });
  EXPECT_TRUE(done) << done.error().detail;
  return lines;
}

bool python_is_missing() {
  return std::system("python3 -c pass > /dev/null 2>&1") != 0;  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
}

TEST_F(AuditTest, PruningLeavesASignedTombstoneAndAValidRest) {
  constexpr std::int64_t kMany = 2 * limits::kPruneChunk + 500;
  fill(kMany);
  pass(days{200});
  auto store = serving();
  put(*store, kMany + 1, kMany + 10);
  const auto before = *store->verify_audit();
  const auto removed = store->prune_audit(test_clock() + -days{100}, "ann");
  ASSERT_TRUE(removed) << removed.error().detail;
  EXPECT_EQ(*removed, kMany + 3 + 1) << "all old ones of this chain, and of the other all but its last";
  EXPECT_EQ(finding(*store), std::nullopt);
  EXPECT_EQ(finding(), std::nullopt);
  const auto after = *store->verify_audit();
  EXPECT_EQ(after.records, before.records - *removed + 2) << "two chains, each announced";
  EXPECT_EQ(pruned_up_to(*store, "serve"), kMany + 3);
  EXPECT_EQ(pruned_up_to(*store, "command"), 1);

  const auto told = store->search_audit({.type = "audit_pruned"}, "", 10);
  ASSERT_EQ(told->items.size(), 2U);
  EXPECT_EQ(told->items[1].event.actor, "ann");
  EXPECT_THAT(told->items[1].event.detail_json, HasSubstr(R"("chain":"serve","from_record":1,"up_to_record":4503)"));

  EXPECT_THAT(types(*store, sample_id(1)), ElementsAre()) << "what was said of it was pruned";
  EXPECT_EQ(types(*store, sample_id(kMany + 5)).size(), 5U);
  EXPECT_TRUE(*store->find(sample_id(1))) << "the detection itself stays";

  EXPECT_EQ(store->prune_audit(test_clock() + -days{100}, "ann"), 0) << "there is nothing more";
  pass(days{200});
  ASSERT_TRUE(store->record({.type = "config_loaded"}));
  const auto again = store->prune_audit(test_clock() + -days{90}, "ann");
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(*again, 10 + 2) << "the second time it goes on from the first";
  EXPECT_EQ(finding(*store), std::nullopt);
  store.reset();
  EXPECT_EQ(finding(), std::nullopt);
  EXPECT_TRUE(serving()->record({.type = "config_loaded"}));
  EXPECT_EQ(finding(), std::nullopt);
}

TEST_F(AuditTest, WhatATombstoneStandsForIsStillProtected) {
  fill(60);
  pass(days{200});
  {
    auto store = serving();
    put(*store, 61, 65);
    ASSERT_TRUE(store->prune_audit(test_clock() + -days{100}, "ann"));
  }
  ASSERT_EQ(finding(), std::nullopt);
  keep();
  const std::pair<const char*, const char*> changes[] = {
      {"UPDATE detection SET lat = 1 WHERE seq = 3", "detections whose acceptances were pruned are not as they were"},
      {"UPDATE detection SET request_json = '{}' WHERE seq = 62", "detection 62 was changed"},
      {"DELETE FROM detection WHERE seq = 3", "detections whose acceptances were pruned are not as they were"},
      {"DELETE FROM audit_tombstone WHERE chain = 1", "record 1: it is missing"},
      {"DELETE FROM audit_tombstone", "record 1: it is missing"},
      {"UPDATE audit_tombstone SET head_sha256 = zeroblob(32)", "the signature of its tombstone is not good"},
      {"UPDATE audit_tombstone SET pruned = pruned + 1", "the signature of its tombstone is not good"},
      {"UPDATE audit_tombstone SET signature = 'k:00'", "the signature of its tombstone is not good"},
      {"UPDATE audit_tombstone SET signature = ''", "the signature of its tombstone is not good"},
      {"UPDATE audit_tombstone SET records = records + 1", "its tombstone was changed"},
      {"UPDATE audit_tombstone SET detections = detections - 1", "the signature of its tombstone is not good"},
      {"UPDATE audit_tombstone SET up_to = up_to + 1, records = records + 1 WHERE chain = 1;"
       "DELETE FROM audit WHERE record = (SELECT min(record) FROM audit)",
       "the signature of its tombstone is not good"},
      {"DELETE FROM audit WHERE record = (SELECT min(record) FROM audit)", "it is missing"},
      {"INSERT INTO audit_tombstone SELECT 7, up_to, head_sha256, records, detections, detections_sha256, pruned, "
       "signature FROM audit_tombstone LIMIT 1",
       "a whole chain (number 7) is gone"}};
  for (const auto& [sql, what] : changes) {
    restore();
    tamper(sql);
    EXPECT_THAT(finding(), Optional(HasSubstr(what))) << sql;
  }
}

TEST_F(AuditTest, WithoutTheKeyASignatureIsNotCheckedButTheRestIs) {
  fill(20);
  pass(days{200});
  {
    auto store = serving();
    put(*store, 21, 22);
    ASSERT_TRUE(store->prune_audit(test_clock() + -days{100}, "ann"));
  }
  tamper("UPDATE audit_tombstone SET signature = 'x'");
  auto o = options();
  o.read_only = true;
  auto reader = open(o);
  EXPECT_EQ(finding(**reader), std::nullopt);
  (*reader)->set_tombstone_signer(test_signer());
  EXPECT_TRUE(finding(**reader));
  tamper("UPDATE audit_tombstone SET detections_sha256 = zeroblob(32) WHERE chain = 1");
  (*reader)->set_tombstone_signer({});
  EXPECT_TRUE(finding(**reader));
}

TEST_F(AuditTest, TheDatabaseItselfRefusesEveryOtherRemoval) {
  fill(20);
  pass(days{200});
  {
    auto store = serving();
    put(*store, 21, 25);
    ASSERT_TRUE(store->prune_audit(test_clock() + -days{100}, "ann"));
  }
  auto db = connect(file(), Access::kCreate);
  ASSERT_TRUE(db);
  for (const char* sql :
       {"DELETE FROM audit", "DELETE FROM audit WHERE record = (SELECT min(record) FROM audit)",
        "DELETE FROM audit_tombstone", "UPDATE audit_tombstone SET signature = 'x'",
        "UPDATE audit_tombstone SET up_to = up_to + 1", "UPDATE audit_tombstone SET up_to = up_to - 1",
        "INSERT INTO audit_tombstone VALUES (9, 1, zeroblob(32), 1, 0, zeroblob(32), 0, 'x')", "DELETE FROM audit_head",
        "UPDATE audit_head SET number = 1"})
    EXPECT_FALSE(db->execute(sql)) << sql;
}

TEST_F(AuditTest, WhatDoesNotHoldIsNotPruned) {
  fill(20);
  tamper("UPDATE audit SET actor = 'nobody' WHERE record & 255 = 9 AND record < (2 << 40)");
  pass(days{200});
  auto store = serving();
  put(*store, 21, 25);
  const auto pruned = store->prune_audit(test_clock() + -days{100}, "ann");
  ASSERT_FALSE(pruned);
  EXPECT_EQ(pruned.error().code, ErrorCode::kConflict);
  EXPECT_THAT(pruned.error().detail, HasSubstr("chain serve, record 9"));
  EXPECT_THAT(finding(*store), Optional(HasSubstr("chain serve, record 9")));
}

TEST_F(AuditTest, AnExportIsCheckedByAnotherProgram) {
  if (python_is_missing()) GTEST_SKIP() << "SKIPPED, NOT TESTED: there is no python3 to check the export with";
  fill(700);
  pass(days{200});
  auto store = serving();
  ASSERT_TRUE(store->record({.type = "key_created",
                             .actor = "J\u00fcrgen \"\\\t\x01\U0001f600",
                             .subject = sample_id(1),
                             .detail_json = R"({"note":"ä"})"}));
  auto lines = exported(*store);
  EXPECT_EQ(lines.size(), 700U + 3 + 2 + 1);
  auto [code, said] = checked_elsewhere(lines, directory_.path());
  EXPECT_EQ(code, 0) << said;
  EXPECT_THAT(said, HasSubstr("706 records hold"));
  const auto verdict = *store->verify_audit();
  for (const auto& chain : verdict.chains) EXPECT_THAT(said, HasSubstr(chain.head_sha256));

  ASSERT_TRUE(store->prune_audit(test_clock() + -days{100}, "ann"));
  lines = exported(*store);
  EXPECT_THAT(lines[0], HasSubstr(R"({"tombstone":"serve","up_to_record":703,)"));
  EXPECT_THAT(lines[1], HasSubstr(R"({"tombstone":"command","up_to_record":1,)"));
  std::tie(code, said) = checked_elsewhere(lines, directory_.path());
  EXPECT_EQ(code, 0) << said;
  EXPECT_THAT(said, HasSubstr("4 records hold"));

  // What a change does to the export, the other program sees.
  auto changed = lines;
  const auto at = changed[2].find("key_created");
  ASSERT_NE(at, std::string::npos);
  changed[2].replace(at, 11, "key_deleted");
  EXPECT_NE(checked_elsewhere(changed, directory_.path()).first, 0);
  changed = lines;
  changed.erase(changed.begin() + 3);
  EXPECT_NE(checked_elsewhere(changed, directory_.path()).first, 0);
  tamper("UPDATE audit SET actor = CAST(x'ff41' AS TEXT) WHERE type = 'key_created' AND record < (2 << 40)");
  std::tie(code, said) = checked_elsewhere(exported(*store), directory_.path());
  EXPECT_NE(code, 0);
  EXPECT_THAT(said, HasSubstr("its hash does not fit")) << "it is still JSON";
}

TEST_F(AuditTest, BytesThatAreNoTextAreExportedAsTheyWereHashed) {
  if (python_is_missing()) GTEST_SKIP() << "SKIPPED, NOT TESTED: there is no python3 to check the export with";
  auto store = serving();
  ASSERT_TRUE(store->record({.type = "key_created", .actor = "a\xff\xc0", .detail_json = "{\"name\":\"caf\xe9\"}"}));
  ASSERT_TRUE(store->record({.type = "key_revoked", .actor = "bob"}));
  auto lines = exported(*store);
  EXPECT_THAT(lines[0], HasSubstr("\"actor\":\"a\ufffd\ufffd\",\"actor_hex\":\"61ffc0\""));
  auto [code, said] = checked_elsewhere(lines, directory_.path());
  EXPECT_EQ(code, 0) << said;
  EXPECT_THAT(said, HasSubstr("2 records hold"));
  EXPECT_EQ(finding(*store), std::nullopt);
  const auto page = store->search_audit({}, {}, 10);
  ASSERT_TRUE(page);
  for (const auto& item : page->items) {
    EXPECT_TRUE(is_utf8(item.event.actor));
    EXPECT_TRUE(is_utf8(item.event.detail_json));
  }
  const auto at = lines[0].find("61ffc0");
  lines[0].replace(at, 6, "61ffc1");
  EXPECT_NE(checked_elsewhere(lines, directory_.path()).first, 0);
}

TEST_F(AuditTest, TwoProcessesWriteAtOnceAndEveryChainHolds) {
  auto serve = serving();
  auto first = beside(), second = beside();  // of the same chain, as two commands at once
  constexpr int kRounds = 40;
  const auto command = [](Store& store, const std::string& name) {
    for (int i = 0; i < kRounds; ++i) {
      ApiKeyRecord key;
      key.id = name + std::to_string(i);
      const auto done = store.put_api_key(key, {.type = "key_created", .actor = name});
      EXPECT_TRUE(done) << done.error().detail;
    }
  };
  std::thread a([&] { command(*first, "a"); });
  std::thread b([&] { command(*second, "b"); });
  for (std::uint64_t i = 0; i < 100; ++i) put(*serve, 10 * i + 1, 10 * i + 10);
  for (int i = 0; i < kRounds; ++i) EXPECT_TRUE(serve->record({.type = "config_loaded"}));
  a.join();
  b.join();
  EXPECT_EQ(finding(*serve), std::nullopt);
  EXPECT_EQ(finding(*first), std::nullopt);
  EXPECT_EQ(serve->api_keys()->size(), 2U * kRounds);
  const auto verdict = *serve->verify_audit();
  ASSERT_EQ(verdict.chains.size(), 2U);
  EXPECT_EQ(verdict.chains[0].records, 1000 + kRounds);
  EXPECT_EQ(verdict.chains[1].records, 2 * kRounds);
}

TEST_F(AuditTest, AWriterBesideAcceptsNothingAndOpensNoSinks) {
  auto serve = serving();
  auto other = beside();
  auto job = std::make_unique<CommitJob>();
  EXPECT_FALSE(other->submit(job));
  EXPECT_NE(job, nullptr);
  EXPECT_FALSE(other->open_sink("tak"));
  EXPECT_FALSE(other->claim("tak", 1));
  EXPECT_TRUE(other->status().writable);
  other->close();
  EXPECT_FALSE(other->record({.type = "key_created"}));
  auto o = options();
  o.beside_serve = true;
  EXPECT_FALSE(open(o)) << "the chain of serve is not its own";
}

TEST_F(AuditTest, AWriterBesideMakesTheDatabaseWhereThereIsNone) {
  // Many rounds: each way to be in the other's way is rare.
  for (int round = 0; round < 30; ++round) {
    auto o = options();
    o.directory /= std::to_string(round);
    auto command = o;
    command.beside_serve = true;
    command.audit_chain = "command";
    std::vector<std::thread> threads;
    std::mutex mutex;
    std::vector<std::string> failures;
    for (int i = 0; i < 6; ++i)
      threads.emplace_back([&, i] {
        auto store = open(i == 0 ? o : command);  // one of them serves
        auto done = store ? (*store)->record({.type = "key_created"}) : std::unexpected(store.error());
        const std::lock_guard lock(mutex);
        if (!done) failures.push_back(done.error().detail);
      });
    for (auto& thread : threads) thread.join();
    ASSERT_THAT(failures, ElementsAre()) << "round " << round;
    auto serve = must_open(o);
    ASSERT_EQ(finding(*serve), std::nullopt);
    ASSERT_EQ(serve->verify_audit()->records, 6);
  }
}

TEST_F(AuditTest, AWriterBesideDoesNotChangeTheSchemaUnderAServingProcess) {
  auto serve = serving();
  // As a process of an older program would have it.
  tamper("PRAGMA user_version = " + std::to_string(schema_version() - 1));
  auto o = options();
  o.beside_serve = true;
  o.audit_chain = "command";
  const auto refused = open(o);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConfiguration);
  EXPECT_THAT(refused.error().detail, HasSubstr("older than this program's"));
}

TEST_F(AuditTest, PruningBesideAServingProcessHoldsUpNobody) {
  fill(3 * limits::kPruneChunk);
  pass(days{200});
  auto serve = serving();
  put(*serve, 90'000, 90'000);
  auto command = beside();
  std::thread pruner([&] {
    const auto removed = command->prune_audit(test_clock() + -days{100}, "ann");
    EXPECT_TRUE(removed) << removed.error().detail;
    EXPECT_GT(removed.value_or(0), 3 * limits::kPruneChunk);
  });
  std::vector<std::optional<std::string>> findings;
  for (std::uint64_t i = 0; i < 50; ++i) {
    put(*serve, 100'000 + 10 * i, 100'009 + 10 * i);
    if (i % 10 == 0) findings.push_back(finding(*serve));
  }
  pruner.join();
  for (const auto& one : findings) EXPECT_EQ(one, std::nullopt) << "a check while records go";
  EXPECT_EQ(finding(*serve), std::nullopt);
  EXPECT_EQ(pruned_up_to(*serve, "serve"), 3 * limits::kPruneChunk + 3);
}

TEST_F(AuditTest, AnOlderDatabaseIsRememberedFromItsMigrationOn) {
  fill(20);
  tamper(
      "DROP TABLE audit_head; DROP TABLE audit_tombstone; DROP TABLE api_key; DROP TABLE revoked_token;"
      "DROP INDEX audit_other; CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, ''); END;"
      // What came later still.
      "DROP TABLE omission; DROP TABLE omission_late; DROP INDEX dead_letter_sink; DROP TRIGGER dead_letter_comes;"
      "DROP TRIGGER dead_letter_goes; DROP TRIGGER retry_comes; DROP TRIGGER retry_goes;"
      "ALTER TABLE sink DROP COLUMN omitted; ALTER TABLE sink DROP COLUMN omitted_late; ALTER TABLE sink DROP COLUMN "
      "dead;"
      "ALTER TABLE sink DROP COLUMN dead_in_log; ALTER TABLE sink DROP COLUMN waiting_late;"
      "DROP TABLE release; DROP TABLE backup_result;"
      "PRAGMA user_version = 2");
  (void)serving();
  EXPECT_EQ(finding(), std::nullopt);
  tamper("DELETE FROM audit WHERE record = (SELECT max(record) FROM audit)");
  EXPECT_TRUE(finding());
}

}  // namespace
}  // namespace detection::store::sqlite
