// Omissions and counts as this engine keeps them: the way from the schema before, what tampering meets, what an
// estimate of bytes is worth.

#include "store/sql/omissions.hpp"

#include <gmock/gmock.h>

#include <map>

#include "store/sqlite/audit_support.hpp"
#include "store/sqlite/schema.hpp"

namespace detection::store::sqlite {

using namespace sql;
namespace {

using ::testing::HasSubstr;

class SqliteOmissions : public AuditTest {
 protected:
  static void omit(Store& store, std::size_t limit, const std::vector<Omission>& omitted) {
    const auto claim = store.claim("tak", limit);
    ASSERT_TRUE(claim);
    ASSERT_TRUE(store.confirm(*claim, Confirmation::kConfirmed, test_clock(), omitted));
  }

  /// Rows of a query whose first two columns are texts.
  static std::multimap<std::string, std::string> rows(sqlite3* db, const std::string& sql) {
    std::multimap<std::string, std::string> out;
    const auto take = [](void* to, int, char** values, char**) {
      static_cast<decltype(out)*>(to)->emplace(values[0], values[1]);
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), take, &out, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    return out;
  }

  /// Makes the file one of an older schema that holds the same, as far as that one can.
  void go_back_to(std::int64_t version) const {
    const auto donor = directory_.path() / "donor";
    std::filesystem::rename(file(), donor);
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &db), SQLITE_OK);
    std::string sql;
    for (std::int64_t step = 1; step <= version; ++step) sql += schema_step(step);
    sql += "PRAGMA user_version = " + std::to_string(version);
    sql +=
        "; PRAGMA application_id = " + std::to_string(kApplicationId) + "; ATTACH '" + donor.string() + "' AS donor;";
    ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    const auto columns = rows(db,
                              "SELECT m.name, group_concat(c.name) FROM main.sqlite_master AS m JOIN "
                              "pragma_table_info(m.name, 'main') AS c WHERE m.type = 'table' GROUP BY m.name");
    ASSERT_GT(columns.size(), 5U);
    for (const auto& [table, names] : columns) {
      const auto copy =
          "INSERT INTO main." + table + " (" + names + ") SELECT " + names + " FROM donor." + table + " WHERE true";
      EXPECT_EQ(sqlite3_exec(db, copy.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    }
    EXPECT_EQ(sqlite3_close(db), SQLITE_OK);
  }
};

TEST_F(SqliteOmissions, AStoreOfTheSchemaBeforeGoesOn) {
  {
    auto store = serving();
    ASSERT_TRUE(store->open_sink("tak"));
    put(*store, 1, 8);
    auto held = sample(9);
    held.disposition = Disposition::kHold;
    ASSERT_FALSE(commit(*store, {held})->error);
    ASSERT_TRUE(store->verify({sample_id(9), {true, "", "ann", {}}, ""})->changed);
    const auto claim = store->claim("tak", 8);  // the released one, and 1 to 7
    ASSERT_TRUE(store->mark_dead(*claim, 3, "refused"));
    ASSERT_TRUE(store->mark_dead(*claim, 4, "refused"));
    store->give_back(*claim);
  }
  go_back_to(3);
  auto store = serving();
  EXPECT_EQ(finding(*store), std::nullopt);
  ASSERT_TRUE(store->open_sink("tak"));
  auto queue = store->sink_queues()->at(0);
  EXPECT_EQ(queue.queued, 7);
  EXPECT_EQ(queue.dead_letters, 2);
  EXPECT_EQ(queue.omitted, 0);
  EXPECT_EQ(store->dead_letters("tak", std::nullopt, 9)->items.size(), 2U);
  ASSERT_EQ(store->retry_dead_letters("tak", "ann"), 2);
  omit(*store, 100, {{1, OmitReason::kFiltered}, {2, OmitReason::kFiltered}, {8, OmitReason::kStale}});
  queue = store->sink_queues()->at(0);
  EXPECT_EQ(queue.queued, 0);
  EXPECT_EQ(queue.delivered, 6);
  EXPECT_EQ(queue.omitted, 3);
  EXPECT_EQ(store->delivery_status(sample_id(2))->state, DeliveryState::kDiscarded);
  EXPECT_EQ(finding(*store), std::nullopt);
}

TEST_F(SqliteOmissions, CountsFollowEveryWayInAndOut) {
  auto store = serving();
  ASSERT_TRUE(store->open_sink("tak"));
  auto held = sample(1);
  held.disposition = Disposition::kHold;
  ASSERT_FALSE(commit(*store, {held})->error);
  put(*store, 2, 5);
  const auto decide = [&](bool verified) {
    return store->verify({sample_id(1), {verified, "", "ann", {}}, ""})->changed;
  };
  const auto expect = [&](std::int64_t queued, std::int64_t dead) {
    const auto queue = store->sink_queues()->at(0);
    EXPECT_EQ(queue.queued, queued);
    EXPECT_EQ(queue.dead_letters, dead);
    // As counted by a look at all of it.
    auto db = connect(file(), Access::kCreate);
    EXPECT_EQ(
        *db->integer("SELECT dead = (SELECT count(*) FROM dead_letter) AND dead_in_log = (SELECT count(*) FROM "
                     "dead_letter WHERE in_log = 1) AND waiting_late = (SELECT count(*) FROM retry WHERE in_log = "
                     "0) FROM sink"),
        1);
  };
  expect(4, 0);
  ASSERT_TRUE(decide(true));
  expect(5, 0);
  ASSERT_TRUE(decide(false));
  expect(4, 0);
  ASSERT_TRUE(decide(true));
  auto claim = store->claim("tak", 3);
  ASSERT_TRUE(store->mark_dead(*claim, 1, "refused"));
  expect(4, 1);
  ASSERT_TRUE(store->mark_dead(*claim, 2, "refused"));
  expect(3, 2);
  ASSERT_TRUE(store->confirm(*claim, Confirmation::kConfirmed, test_clock()));
  expect(2, 2);
  ASSERT_EQ(store->retry_dead_letters("tak", "ann"), 2);
  expect(4, 0);
  omit(*store, 100, {});
  expect(0, 0);
  ASSERT_TRUE(decide(false));  // now to be taken back
  expect(1, 0);
  omit(*store, 100, {});
  expect(0, 0);
}

TEST_F(SqliteOmissions, TamperingWithWhatWasLeftOutIsFound) {
  {
    auto store = serving();
    ASSERT_TRUE(store->open_sink("tak"));
    put(*store, 1, 6);
    omit(*store, 6, {{2, OmitReason::kFiltered}, {3, OmitReason::kFiltered}});
    ASSERT_TRUE(store->record({.type = "config_loaded"}));
  }
  EXPECT_EQ(finding(), std::nullopt);
  for (const char* sql : {"UPDATE audit SET body = replace(body, 'filtered', 'stale') WHERE type = 'tak_push_omitted'",
                          "DELETE FROM audit WHERE type = 'tak_push_omitted'",
                          "UPDATE audit SET type = 'delivery' WHERE type = 'tak_push_omitted'"}) {
    keep();
    tamper(sql);
    EXPECT_NE(finding(), std::nullopt) << sql;
    restore();
  }
  auto db = connect(file(), Access::kCreate);
  ASSERT_TRUE(db);
  for (const char* sql :
       {"UPDATE omission SET last_seq = 6", "DELETE FROM omission", "REPLACE INTO omission SELECT * FROM omission"})
    EXPECT_FALSE(db->execute(sql)) << sql;
}

TEST_F(SqliteOmissions, TheBytesOfAQueueAreAboutWhatItTakesOnTheDisk) {
  constexpr std::uint64_t kDetections = 20'000;
  const auto size_of = [&](std::size_t request_bytes) {
    auto store = serving();
    EXPECT_TRUE(store->open_sink("tak"));
    for (std::uint64_t first = 1; first <= kDetections; first += 1'000) {
      std::vector<Acceptance> items;
      for (auto i = first; i < first + 1'000; ++i) {
        items.push_back(sample(i));
        items.back().request_json = "\"" + std::string(request_bytes, 'x') + "\"";
      }
      EXPECT_FALSE(commit(*store, std::move(items))->error);
    }
    const auto told = static_cast<double>(store->sink_queues()->at(0).bytes);
    store.reset();  // its last connection writes all into the file
    return std::pair(told, static_cast<double>(std::filesystem::file_size(file())));
  };
  for (const std::size_t request_bytes : {400U, 900U}) {
    const auto [told, taken] = size_of(request_bytes);
    EXPECT_NEAR(told / taken, 1, 0.25) << told << " of " << taken << ", requests of " << request_bytes;
    std::filesystem::remove(file());
  }
}

}  // namespace
}  // namespace detection::store::sqlite
