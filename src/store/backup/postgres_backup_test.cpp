// Between the engines, with a PostgreSQL server of one's own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "store/backup/backup_support.hpp"
#include "store/backup/folder.hpp"
#include "store/backup/times.hpp"
#include "store/postgres/engine.hpp"
#include "store/postgres/postgres_fixture.hpp"
#include "store/sqlite/audit_support.hpp"

namespace detection::store::backup {
namespace {

using namespace testing;
using postgres::testing::OneServer;
using ::testing::HasSubstr;

class PostgresBackup : public OneServer {
 protected:
  [[nodiscard]] Place database() { return {.directory = {}, .database_url = server().url(name_)}; }
  /// Another, empty one.
  [[nodiscard]] Place new_database() {
    auto name = name_ + "_" + std::to_string(++made_);
    server().create_database(name);
    return {.directory = {}, .database_url = server().url(name)};
  }
  [[nodiscard]] Place at(const char* name) const { return {.directory = directory_.path() / name}; }
  [[nodiscard]] Made backup_of(const Place& place) const {
    return must(backup::make({.place = place, .folder = directory_.path() / "backup"}));
  }
  [[nodiscard]] static std::unique_ptr<Store> serve(const Place& place) {
    if (!place.is_postgres()) return must(sqlite::open({.directory = place.directory}));
    return must(postgres::open({.url = place.database_url}));
  }
  static void expect_valid(const std::optional<AuditVerdict>& audit) {
    ASSERT_TRUE(audit);
    EXPECT_TRUE(audit->valid) << audit->first_bad.value_or("");
    EXPECT_GT(audit->records, 0);
  }

  TemporaryDirectory directory_;
  int made_ = 0;
};

TEST_F(PostgresBackup, FromSqliteThroughPostgresAndBackItIsTheSameRecord) {
  {
    fill(*serve(at("data")));
  }
  const auto first = backup_of(at("data"));
  EXPECT_EQ(first.checked.manifest.engine, "sqlite");
  expect_valid(first.checked.audit);

  const auto between = database();
  const auto into = restore({.file = first.file, .place = between});
  ASSERT_TRUE(into) << into.error().detail;
  expect_valid(into->checked.audit);

  const auto second = backup_of(between);
  EXPECT_EQ(second.checked.manifest.engine, "postgres");
  expect_valid(second.checked.audit);
  EXPECT_EQ(summary(second.checked.manifest), summary(first.checked.manifest));

  const auto back = restore({.file = second.file, .place = at("back")});
  ASSERT_TRUE(back) << back.error().detail;
  expect_valid(back->checked.audit);
  EXPECT_EQ(summary(backup_of(at("back")).checked.manifest), summary(first.checked.manifest));
}

TEST_F(PostgresBackup, ARecordThatPostgresMadeGoesToTheEdgeAndOnFromThere) {
  const auto from = database();
  {
    fill(*serve(from));
  }
  const auto made = backup_of(from);
  expect_valid(made.checked.audit);
  must(restore({.file = made.file, .place = at("edge")}));
  auto edge = serve(at("edge"));
  put(*edge, 1'001, 1'020);
  const auto verdict = must(edge->verify_audit());
  EXPECT_TRUE(verdict.valid) << verdict.first_bad.value_or("");
  EXPECT_EQ(edge->status().detections, 320);
}

// Sequences, counts and leases are what the engine keeps beside the record.
TEST_F(PostgresBackup, ARestoredDatabaseGoesOnWhereItWas) {
  {
    fill(*serve(at("data")));
  }
  must(restore({.file = backup_of(at("data")).file, .place = database()}));
  auto edge = serve(at("data"));
  auto store = serve(database());
  for (auto* one : {edge.get(), store.get()}) {
    must(one->open_sink("tak"));
    must(one->open_sink("slow"));
  }
  const auto expected = must(edge->sink_queues()), queues = must(store->sink_queues());
  ASSERT_EQ(queues.size(), expected.size());
  for (std::size_t i = 0; i < queues.size(); ++i) {
    EXPECT_EQ(queues[i].sink, expected[i].sink);
    EXPECT_EQ(queues[i].queued, expected[i].queued);
    EXPECT_EQ(queues[i].delivered, expected[i].delivered);
    EXPECT_EQ(queues[i].omitted, expected[i].omitted);
    EXPECT_EQ(queues[i].dead_letters, expected[i].dead_letters);
    EXPECT_GT(queues[i].bytes, 0);
  }
  std::set<std::int64_t> due, waiting;
  for (const auto& item : claim_some(*store, "tak", 10'000).items) due.insert(item.sequence);
  for (const auto& item : claim_some(*edge, "tak", 10'000).items) waiting.insert(item.sequence);
  EXPECT_EQ(due, waiting) << "something is delivered twice, or never";
  must(store->open_sink("third"));
  (void)must(store->verify({.id = sample_id(20), .decision = {true, "", "ann", system_now()}}));
  put(*store, 1'001, 1'020);
  const auto verdict = must(store->verify_audit());
  EXPECT_TRUE(verdict.valid) << verdict.first_bad.value_or("");
  store.reset();
  expect_valid(backup_of(database()).checked.audit);
}

TEST_F(PostgresBackup, ADatabaseThatHoldsSomethingIsRefusedUnlessAsked) {
  {
    fill(*serve(at("data")), 50);
  }
  const auto made = backup_of(at("data"));
  {
    auto store = serve(database());
    put(*store, 2'001, 2'030);
    const auto served = restore({.file = made.file, .place = database(), .replace = true});
    ASSERT_FALSE(served);
    EXPECT_THAT(served.error().detail, HasSubstr("is being served"));
  }
  const auto other = backup_of(database());
  const auto refused = restore({.file = made.file, .place = database()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_EQ(summary(backup_of(database()).checked.manifest), summary(other.checked.manifest)) << "it changed something";

  const auto replaced = restore({.file = made.file, .place = database(), .replace = true});
  ASSERT_TRUE(replaced) << replaced.error().detail;
  EXPECT_EQ(summary(backup_of(database()).checked.manifest), summary(made.checked.manifest));
  // The record is append-only again.
  EXPECT_ANY_THROW(ask_server("UPDATE detection SET lat = 0"));
  EXPECT_ANY_THROW(ask_server("DELETE FROM audit"));
  EXPECT_ANY_THROW(ask_server("TRUNCATE audit CASCADE"));
  const std::string triggers =
      "SELECT string_agg(relname || tgname || tgenabled::text, ' ' ORDER BY relname, tgname) FROM pg_trigger JOIN "
      "pg_class "
      "ON "
      "pg_class.oid = tgrelid WHERE NOT tgisinternal";
  const auto fresh = new_database();
  must(postgres::migrate({.url = fresh.database_url}));
  EXPECT_EQ(ask_server(triggers), server().run_sql(triggers, name_ + "_1"));
}

TEST_F(PostgresBackup, ARestoreThatIsBrokenOffHasChangedNothing) {
  {
    fill(*serve(at("data")));
  }
  const auto made = backup_of(at("data"));
  must(postgres::migrate({.url = database().database_url}));
  // The connection ends in the middle of the rows.
  int told = 0;
  const auto cut = restore({.file = made.file, .place = database(), .progress = [&](auto what, auto, auto) {
                              if (what == "comparing" && ++told == 2)
                                ask_server(
                                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                                    "'detection-api restore'");
                            }});
  ASSERT_FALSE(cut);
  EXPECT_EQ(ask_server("SELECT count(*) FROM detection"), (std::vector<std::vector<std::string>>{{"0"}}));
  must(restore({.file = made.file, .place = database()}));
  EXPECT_EQ(summary(backup_of(database()).checked.manifest), summary(made.checked.manifest));
}

TEST_F(PostgresBackup, IsOfOneMomentBesideAWriter) {
  auto store = serve(database());
  std::atomic<bool> stop{false};
  put(*store, 1, 20);
  std::thread writer([&] {
    for (std::uint64_t i = 21; !stop; i += 20) put(*store, i, i + 19);
  });
  for (int i = 0; i < 3; ++i) {
    const auto made = backup::make({.place = database(), .folder = directory_.path() / "backup"});
    EXPECT_TRUE(made) << made.error().detail;
    if (!made) break;
    expect_valid(made->checked.audit);
    EXPECT_EQ(made->checked.manifest.rows("detection") % 20, 0);
  }
  stop = true;
  writer.join();
}

TEST_F(PostgresBackup, TombstonesComeAlong) {
  struct Pruned : sqlite::AuditTest {
    using AuditTest::directory_;
    using AuditTest::fill;
    using AuditTest::must_open;
    using AuditTest::options;
    using AuditTest::put;
    using AuditTest::serving;
    void TestBody() override {}
  } pruned;
  sqlite::test_now = store::testing::kStart;
  pruned.fill(60);
  sqlite::pass(std::chrono::days{100});
  {
    auto store = pruned.serving();
    Pruned::put(*store, 61, 70);
    ASSERT_GT(must(store->prune_audit(
                  {sqlite::test_now.load() - std::chrono::microseconds(kAuditRetentionLeast).count()}, "ann")),
              0);
  }
  const auto made = backup_of({.directory = pruned.directory_.path()});
  must(restore({.file = made.file, .place = database()}));
  const auto second = backup_of(database());
  EXPECT_EQ(summary(second.checked.manifest), summary(made.checked.manifest));
  expect_valid(second.checked.audit);
}

// After a release was taken back its schema stays.
TEST_F(PostgresBackup, OfTheSchemaBehindThisOneThereIsOneAndOfOthersNot) {
  {
    fill(*serve(database()), 50);
  }
  const auto before = backup_of(database());
  ask_server(
      "ALTER TABLE sink ADD COLUMN rate BIGINT NOT NULL DEFAULT 0; CREATE TABLE later (number BIGINT);"
      "UPDATE schema_version SET version = version + 1");
  EXPECT_EQ(summary(backup_of(database()).checked.manifest), summary(before.checked.manifest));
  must(restore({.file = before.file, .place = database(), .replace = true}));
  for (const char* change : {"+ 1", "- 3"}) {
    ask_server(std::string("UPDATE schema_version SET version = version ") + change);
    const auto said = backup::make({.place = database(), .folder = directory_.path() / "backup"});
    ASSERT_FALSE(said);
    EXPECT_THAT(said.error().detail, HasSubstr("schema version"));
  }
}

// No migration may add a table or a column that backups do not know.
TEST_F(PostgresBackup, TheTablesAreThoseOfTheSchema) {
  must(postgres::migrate({.url = database().database_url}));
  std::set<std::string> known(left_out().begin(), left_out().end());
  for (const auto& table : tables()) {
    known.insert(table.name);
    std::set<std::string> columns, there;
    for (const auto& column : table.columns)
      columns.insert(column.name + (column.kind == Kind::kInteger ? " bigint"
                                    : column.kind == Kind::kReal  ? " double precision"
                                    : column.kind == Kind::kText  ? " text"
                                                                  : " bytea"));
    for (const auto& row : ask_server("SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE "
                                      "table_schema = 'public' AND table_name = '" +
                                      table.name + "'"))
      there.insert(row.at(0));
    EXPECT_EQ(columns, there) << table.name;
  }
  for (const auto& row : ask_server("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
    EXPECT_TRUE(known.contains(row.at(0))) << "backups do not know the table " << row.at(0);
}

TEST_F(PostgresBackup, WhatBackupsSayIsKnownToEveryProcess) {
  const auto store = serve(database());
  EXPECT_FALSE(must(recorded_times(database())).made);
  must(record_times(database(), {.made = UtcMicros{5}, .verified = UtcMicros{6}}));
  EXPECT_EQ(must(recorded_times(database())).made, UtcMicros{5});
  EXPECT_EQ(must(recorded_times(database())).verified, UtcMicros{6});
}

}  // namespace
}  // namespace detection::store::backup
