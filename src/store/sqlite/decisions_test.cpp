// Decisions, retries and the feed as this engine keeps them: the way from the first schema, what tampering meets,
// cursors, pruned and foreign chains.

#include "store/sql/decisions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "contract/store_support.hpp"
#include "store/sql/feed_cursor.hpp"
#include "store/sqlite/engine.hpp"
#include "store/sqlite/schema.hpp"

namespace detection::store::sqlite {

using namespace sql;

namespace {

using testing::commit;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::sample;
using testing::sample_id;

class SqliteDecisions : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path file() const { return directory_.path() / "detections.db"; }
  [[nodiscard]] std::unique_ptr<Store> must_open(const std::string& chain = "serve") const {
    auto store = open({.directory = directory_.path(), .metrics = nullptr, .audit_chain = chain});
    if (!store) throw std::runtime_error(store.error().detail);
    return std::move(*store);
  }
  void run_past_the_program(const std::string& sql) const { run_in(file(), sql); }
  static void run_in(const std::filesystem::path& file, const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message;
    sqlite3_free(message);
    EXPECT_EQ(sqlite3_close(db), SQLITE_OK);
  }
  static void put(Store& store, std::uint64_t first, std::uint64_t last,
                  Disposition disposition = Disposition::kQueue) {
    std::vector<Acceptance> items;
    for (auto i = first; i <= last; ++i) {
      items.push_back(sample(i));
      items.back().disposition = disposition;
    }
    ASSERT_FALSE(commit(store, std::move(items))->error);
  }
  static bool decide(Store& store, std::uint64_t i, bool verified) {
    const auto done = store.verify({sample_id(i), {verified, "", "ann", {}}, ""});
    return done && done->changed;
  }
  static std::vector<std::int64_t> claimed(Store& store, std::size_t limit = 100) {
    std::vector<std::int64_t> out;
    const auto claim = store.claim("tak", limit);
    EXPECT_TRUE(claim);
    for (const auto& item : claim->items) out.push_back(item.sequence);
    EXPECT_TRUE(store.confirm(*claim, Confirmation::kConfirmed, system_now()));
    return out;
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(SqliteDecisions, AStoreOfTheFirstSchemaGoesOn) {
  {
    auto store = must_open();
    ASSERT_TRUE(store->open_sink("tak"));
    put(*store, 1, 1, Disposition::kHold);
    put(*store, 2, 6);
    auto claim = store->claim("tak", 4);
    ASSERT_TRUE(store->mark_dead(*claim, 3, "refused"));
    ASSERT_TRUE(store->confirm(*claim, Confirmation::kConfirmed, {}));
  }
  const auto donor = directory_.path() / "donor";
  std::filesystem::rename(file(), donor);
  std::string sql(schema_step(1));
  sql += "PRAGMA user_version = 1; PRAGMA application_id = " + std::to_string(kApplicationId) + ";";
  sql += "ATTACH '" + donor.string() + "' AS donor;";
  const std::pair<const char*, const char*> tables[] = {
      {"detection", "*"},
      {"audit_chain", "number, name"},
      {"audit", "record, at, type, severity, actor, subject, detection, detection_sha256, body, sha256"},
      {"sink", "number, name, start, start_exceptional, cursor, delivered"},
      {"dead_letter", "seq, sink, at, reason"},
      {"delivery", "sink, first_seq, last_seq, record"}};
  for (const auto& [table, columns] : tables)
    sql += std::string("INSERT INTO main.") + table + " SELECT " + columns + " FROM donor." + table + ";";
  run_past_the_program(sql);

  const auto reader = open({.directory = directory_.path(), .read_only = true});
  ASSERT_FALSE(reader) << "a reader migrates nothing";
  EXPECT_EQ(reader.error().code, ErrorCode::kConfiguration);
  auto store = must_open();
  EXPECT_TRUE(store->verify_audit()->valid);
  ASSERT_TRUE(store->open_sink("tak"));
  const auto before = store->sink_queues()->at(0);
  EXPECT_EQ(before.queued, 1);
  EXPECT_EQ(before.delivered, 3);
  EXPECT_EQ(before.dead_letters, 1);
  ASSERT_TRUE(decide(*store, 1, true));
  ASSERT_EQ(store->retry_dead_letters("tak", "ann"), 1);
  EXPECT_THAT(claimed(*store), ElementsAre(1, 3, 6));
  EXPECT_EQ(store->sink_queues()->at(0).delivered, 6);
  EXPECT_EQ(store->feed("f", 100)->events.size(), 6U + 2 + 1 + 1 + 2) << "the feed reaches back to the beginning";
  EXPECT_TRUE(store->verify_audit()->valid);
}

TEST_F(SqliteDecisions, DecisionsAreNeitherChangedNorDeleted) {
  {
    auto store = must_open();
    put(*store, 1, 1, Disposition::kHold);
    ASSERT_TRUE(decide(*store, 1, false));
  }
  auto db = connect(file(), Access::kCreate);
  ASSERT_TRUE(db);
  for (const char* sql :
       {"UPDATE decision SET verified = 1", "DELETE FROM decision", "REPLACE INTO decision SELECT * FROM decision"})
    EXPECT_FALSE(db->execute(sql)) << sql;
}

TEST_F(SqliteDecisions, WhatIsDueBesideTheLogIsFoundWithoutSortingOrScanning) {
  (void)must_open();
  auto db = connect(file(), Access::kCreate);
  ASSERT_TRUE(db);
  const auto plan_of = [&](const std::string& sql) {
    std::string plan;
    auto q = db->query_once("EXPLAIN QUERY PLAN " + sql);
    while (true) {
      auto row = q.step();
      EXPECT_TRUE(row) << row.error().detail;
      if (!row || !*row) return plan;
      plan += std::string(q.text(3)) + "\n";
    }
  };
  const auto claims = plan_of(
      "SELECT detection.seq FROM retry INDEXED BY retry_due CROSS JOIN detection ON detection.seq = retry.seq WHERE "
      "retry.sink = 1 ORDER BY in_log, kind DESC, retry.seq");
  EXPECT_EQ(claims.find("TEMP B-TREE"), std::string::npos) << claims;
  const auto later = plan_of(
      "SELECT 1 FROM decision AS d WHERE track = 'x' AND seq > 1 AND verified = 1 AND NOT EXISTS "
      "(SELECT 1 FROM decision AS newer WHERE newer.seq = d.seq AND newer.number > d.number) LIMIT 1");
  EXPECT_EQ(later.find("SCAN"), std::string::npos) << later;
  const auto newest = plan_of("SELECT verified FROM decision WHERE seq = 1 ORDER BY number DESC LIMIT 1");
  EXPECT_EQ(newest.find("TEMP B-TREE"), std::string::npos) << newest;
}

TEST(FeedCursor, ReadsBackAndNothingElse) {
  for (const std::string text : {"f", "f1-7", "f1-7.2-1", "f1-1099511627775"}) {
    const auto cursor = FeedCursor::parse(text);
    ASSERT_TRUE(cursor) << text;
    EXPECT_EQ(cursor->text(), text);
  }
  for (const std::string text : {"",
                                 "1-7",
                                 "f1",
                                 "f1-",
                                 "f1-.2-1",
                                 "f1-7.",
                                 "f1-7.1-8",
                                 "f-1",
                                 "f1-0",
                                 "f0-1",
                                 "f01-7",
                                 "f1-07",
                                 "f1-+7",
                                 "f1--7",
                                 "f1-7 ",
                                 " f1-7",
                                 "f1-1099511627776",
                                 "f1-7,2-1",
                                 "f1-99999999999999999999",
                                 "F1-7"})
    EXPECT_FALSE(FeedCursor::parse(text)) << text;
  EXPECT_FALSE(FeedCursor::parse("f" + std::string(2'000, '1') + "-1"));
}

TEST_F(SqliteDecisions, AnotherChainThatAppearsLaterIsInTheFeedFromItsStart) {
  std::string cursor;
  {
    auto store = must_open();
    put(*store, 1, 2);
    cursor = *store->feed_head();
  }
  {
    auto other = must_open("command");
    put(*other, 3, 3);
  }
  auto store = must_open();
  put(*store, 4, 4);
  auto page = store->feed(cursor, 1);
  ASSERT_TRUE(page && page->more);
  EXPECT_EQ(page->events.at(0).detection->sequence, 3);
  page = store->feed(page->cursor, 10);
  ASSERT_EQ(page->events.size(), 1U);
  EXPECT_EQ(page->events[0].detection->sequence, 4);
  EXPECT_EQ(page->cursor, *store->feed_head());
}

TEST_F(SqliteDecisions, AFeedIsNotResumedWhereItsRecordsAreGone) {
  std::string kept, lost;
  {
    auto store = must_open();
    put(*store, 1, 2);
    lost = *store->feed_head();
    put(*store, 3, 4);
    kept = *store->feed_head();
    put(*store, 5, 5);
  }
  run_past_the_program("DROP TRIGGER audit_is_kept; DELETE FROM audit WHERE record & 0xff <= 4");
  auto store = must_open();
  for (const auto& cursor : {lost, std::string("f")}) {
    const auto page = store->feed(cursor, 10);
    ASSERT_FALSE(page) << cursor;
    EXPECT_EQ(page.error().code, ErrorCode::kNotFound);
  }
  const auto page = store->feed(kept, 10);
  ASSERT_TRUE(page) << page.error().detail;
  ASSERT_EQ(page->events.size(), 1U);
  EXPECT_EQ(page->events[0].detection->sequence, 5);
  // Nor from another store's cursor, or from behind a restored one's end.
  for (const char* cursor : {"f1-6", "f2-1"}) EXPECT_EQ(store->feed(cursor, 10).error().code, ErrorCode::kConflict);
}

TEST_F(SqliteDecisions, ABodyThatIsNoJsonIsPassedOver) {
  auto store = must_open();
  const auto cursor = *store->feed_head();
  for (const char* type : {"tak_push_failed", "detection_queued", "delivery", "tak_push_success", "detection_verified"})
    ASSERT_TRUE(store->record({.type = type, .subject = sample_id(1), .detail_json = "{not json"}));
  put(*store, 1, 1);
  const auto page = store->feed(cursor, 10);
  ASSERT_TRUE(page) << page.error().detail;
  EXPECT_EQ(page->events.size(), 1U);
  EXPECT_FALSE(page->more);
}

TEST_F(SqliteDecisions, WhatCannotBeWrittenIsNotSent) {
  auto store = must_open();
  ASSERT_TRUE(store->open_sink("tak"));
  put(*store, 1, 1, Disposition::kHold);
  ASSERT_TRUE(decide(*store, 1, true));
  put(*store, 2, 2);
  // That TAK may have it has to be known first. Where that cannot be written, the log goes on.
  run_past_the_program(
      "CREATE TRIGGER broken BEFORE UPDATE ON retry BEGIN SELECT raise(ABORT, 'the disk is bad'); END");
  EXPECT_THAT(claimed(*store), ElementsAre(2));
  EXPECT_FALSE(store->claim("tak", 10));
  EXPECT_TRUE(decide(*store, 1, false));
  EXPECT_THAT(claimed(*store), IsEmpty()) << "withdrawn";
}

}  // namespace
}  // namespace detection::store::sqlite
