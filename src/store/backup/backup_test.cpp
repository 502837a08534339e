// From SQLite into a snapshot and back.

#include "store/backup/backup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "store/backup/backup_support.hpp"
#include "store/backup/content.hpp"
#include "store/backup/folder.hpp"
#include "store/backup/snapshot_file.hpp"
#include "store/backup/times.hpp"
#include "store/sqlite/audit_support.hpp"
#include "store/sqlite/schema.hpp"

namespace detection::store::backup {
namespace {

using namespace testing;
using ::testing::HasSubstr;

class Backup : public ::testing::Test {
 protected:
  [[nodiscard]] Place at(const char* name) const { return {.directory = directory_.path() / name}; }
  [[nodiscard]] std::filesystem::path folder() const { return directory_.path() / "backup"; }
  [[nodiscard]] std::unique_ptr<Store> serve(const Place& place) const {
    return must(sqlite::open({.directory = place.directory}));
  }
  [[nodiscard]] Made backup_of(const Place& place) const { return must(make({.place = place, .folder = folder()})); }

  TemporaryDirectory directory_;
};

TEST_F(Backup, GoesIntoAnEmptyPlaceAndIsTheSameThere) {
  const auto from = at("data"), to = at("restored");
  auto store = serve(from);
  fill(*store);
  const auto made = backup_of(from);
  EXPECT_EQ(made.checked.manifest.rows("detection"), 300);
  ASSERT_TRUE(made.checked.audit);
  EXPECT_TRUE(made.checked.audit->valid) << made.checked.audit->first_bad.value_or("");
  // None is empty but the tombstones: what is compared below is something.
  for (const auto& part : made.checked.manifest.parts) {
    const bool may_be_empty = part.table.name == "audit_tombstone" || part.table.name == "omission_late";
    EXPECT_TRUE(may_be_empty || part.content.rows > 0) << part.table.name;
  }

  const auto restored = restore({.file = made.file, .place = to});
  ASSERT_TRUE(restored) << restored.error().detail;
  EXPECT_FALSE(restored->before);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(to.directory)) names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"detections.db", "serve.lock"}));
  const auto again = backup_of(to);
  EXPECT_EQ(summary(again.checked.manifest), summary(made.checked.manifest));
}

TEST_F(Backup, WhatWasDeliveredIsNotDueAgainAndWhatWaitedIs) {
  const auto from = at("data"), to = at("restored");
  std::set<std::int64_t> waiting;
  {
    auto store = serve(from);
    fill(*store, 60);
    must(restore({.file = backup_of(from).file, .place = to}));
    while (true) {
      const auto claim = must(store->claim("tak", 1'000));
      if (claim.items.empty()) break;
      for (const auto& item : claim.items) waiting.insert(item.sequence);
    }
  }
  auto store = serve(to);
  must(store->open_sink("tak"));
  std::set<std::int64_t> due;
  while (true) {
    const auto claim = must(store->claim("tak", 1'000));
    if (claim.items.empty()) break;
    for (const auto& item : claim.items) EXPECT_TRUE(due.insert(item.sequence).second);
  }
  EXPECT_FALSE(due.empty());
  EXPECT_EQ(due, waiting);
  // It goes on where it was: the same id is a repeat, a new one is the next of the log, and the chains hold on.
  put(*store, 1, 61, [](std::uint64_t i, Acceptance& item) {
    if (i < 61) item.content_sha256[0] = static_cast<std::uint8_t>(i);
  });
  EXPECT_EQ(store->status().detections, 61);
  const auto verdict = must(store->verify_audit());
  EXPECT_TRUE(verdict.valid) << verdict.first_bad.value_or("");
}

TEST_F(Backup, IsOfOneMomentBesideAWriter) {
  const auto from = at("data");
  auto store = serve(from);
  must(store->open_sink("tak"));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t i = 1; !stop; i += 20) {
      put(*store, i, i + 19);
      const auto claim = must(store->claim("tak", 15));
      if (!claim.items.empty()) must(store->confirm(claim, Confirmation::kConfirmed, system_now()));
    }
  });
  std::int64_t before = -1;
  for (int i = 0; i < 5; ++i) {
    const auto made = make({.place = from, .folder = folder()});
    EXPECT_TRUE(made) << made.error().detail;
    if (!made) break;
    const auto& manifest = made->checked.manifest;
    EXPECT_TRUE(made->checked.audit->valid) << made->checked.audit->first_bad.value_or("");
    EXPECT_GT(manifest.rows("detection"), before);
    before = manifest.rows("detection");
    // A moment between two commits: each has 20.
    EXPECT_EQ(manifest.rows("detection") % 20, 0);
  }
  stop = true;
  writer.join();
}

TEST_F(Backup, OldOnesGoButNeverTheNewest) {
  const auto from = at("data");
  {
    fill(*serve(from), 20);
  }
  const auto first = backup_of(from).file;
  const auto day = std::chrono::microseconds(std::chrono::days{1});
  const auto old = [&](int days) {
    const auto file = folder() / snapshot_name(system_now() + -days * day);
    std::filesystem::copy_file(first, file);
    return file;
  };
  const auto past = old(31), longer = old(400), young = old(29);
  write_all(folder() / "detections-20260101T000000.000Z.snapshot.partial", "broken off");
  write_all(folder() / "notes.txt", "mine");
  const auto made = backup_of(from);
  EXPECT_EQ(made.removed, (std::vector{longer, past}));
  EXPECT_EQ(snapshots_in(folder()), (std::vector{young, first, made.file}));
  EXPECT_TRUE(std::filesystem::exists(folder() / "notes.txt"));
  EXPECT_FALSE(std::filesystem::exists(folder() / "detections-20260101T000000.000Z.snapshot.partial"));
  // Even where all are past it: the last good one is the one that was just made and checked.
  const auto last = must(make({.place = from, .folder = folder(), .keep = std::chrono::milliseconds{0}}));
  EXPECT_EQ(snapshots_in(folder()), (std::vector{last.file}));
}

TEST_F(Backup, OneThatFailsRemovesNothing) {
  const auto from = at("data");
  {
    fill(*serve(from), 20);
  }
  const auto first = backup_of(from).file;
  std::filesystem::rename(first, folder() / "detections-20200101T000000.000Z.snapshot");
  const auto said = make({.place = at("nowhere"), .folder = folder()});
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code, ErrorCode::kConfiguration);
  EXPECT_EQ(snapshots_in(folder()).size(), 1U);
}

TEST_F(Backup, OnlyOneAtATimeInAFolder) {
  const auto from = at("data");
  {
    fill(*serve(from), 20);
  }
  const auto held = FolderLock::take(folder());
  ASSERT_TRUE(held);
  const auto said = make({.place = from, .folder = folder()});
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code, ErrorCode::kConflict);
}

TEST_F(Backup, APlaceThatHoldsSomethingIsRefusedUnlessAsked) {
  const auto from = at("data"), to = at("other");
  {
    fill(*serve(from), 40);
  }
  {
    auto store = serve(to);
    put(*store, 1'000, 1'010);
  }
  const auto made = backup_of(from);
  const auto other = backup_of(to);
  const auto refused = restore({.file = made.file, .place = to});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_EQ(summary(backup_of(to).checked.manifest), summary(other.checked.manifest)) << "it changed something";

  const auto replaced = restore({.file = made.file, .place = to, .replace = true});
  ASSERT_TRUE(replaced) << replaced.error().detail;
  EXPECT_EQ(summary(backup_of(to).checked.manifest), summary(made.checked.manifest));
  // What was there is whole, under the name that was told.
  ASSERT_TRUE(replaced->before);
  std::filesystem::create_directories(at("aside").directory);
  std::filesystem::copy_file(*replaced->before, at("aside").file());
  EXPECT_EQ(summary(backup_of(at("aside")).checked.manifest), summary(other.checked.manifest));
}

TEST_F(Backup, ALogThatWasLeftBehindIsNeverAppliedToWhatIsRestored) {
  const auto from = at("data"), to = at("other");
  {
    fill(*serve(from), 40);
  }
  const auto made = backup_of(from);
  {
    // As after a kill: the file and its log, which holds the newest commits.
    auto store = serve(at("killed"));
    put(*store, 500, 540);
    std::filesystem::create_directories(to.directory);
    for (const char* ending : {"", "-wal"})
      std::filesystem::copy_file(at("killed").file().string() + ending, to.file().string() + ending);
  }
  ASSERT_GT(std::filesystem::file_size(to.file().string() + "-wal"), 0U);
  must(restore({.file = made.file, .place = to, .replace = true}));
  EXPECT_EQ(summary(backup_of(to).checked.manifest), summary(made.checked.manifest));
}

TEST_F(Backup, APlaceThatIsServedIsRefused) {
  const auto from = at("data");
  auto store = serve(from);
  fill(*store, 20);
  const auto made = backup_of(from);
  const auto said = restore({.file = made.file, .place = from, .replace = true});
  ASSERT_FALSE(said);
  EXPECT_THAT(said.error().detail, HasSubstr("in use by another process"));
}

TEST_F(Backup, ADamagedOneChangesNothing) {
  const auto from = at("data"), to = at("restored");
  {
    fill(*serve(from), 20);
  }
  const auto made = backup_of(from);
  auto bytes = read_all(made.file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_all(made.file, bytes);
  const auto said = restore({.file = made.file, .place = to});
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code, ErrorCode::kValidationFailed);
  EXPECT_FALSE(std::filesystem::exists(to.file()));
}

TEST_F(Backup, WhatBackupsSayIsKnownToTheStoreAndNoPartOfTheRecord) {
  const auto from = at("data");
  const auto store = serve(from);
  fill(*store, 20);
  EXPECT_FALSE(must(recorded_times(from)).made);
  const auto first = backup_of(from);
  must(record_times(from, {.made = UtcMicros{5}}));
  must(record_times(from, {.verified = UtcMicros{9}}));
  must(record_times(from, {.made = UtcMicros{7}}));
  const auto times = must(recorded_times(from));
  EXPECT_EQ(times.made, UtcMicros{7});
  EXPECT_EQ(times.verified, UtcMicros{9});
  EXPECT_EQ(summary(backup_of(from).checked.manifest), summary(first.checked.manifest));
}

TEST_F(Backup, RehearsingLeavesNothingBehind) {
  const auto from = at("data");
  {
    fill(*serve(from), 20);
  }
  const auto made = backup_of(from);
  must(rehearse(made.file, folder(), {}));
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{".backup.lock", made.file.filename()}));
}

// A snapshot of the schema before this one, as the program before wrote it: restored, it is of this one.
TEST_F(Backup, OneOfAnOlderSchemaIsBroughtUpToDate) {
  const auto from = at("data"), to = at("restored");
  {
    fill(*serve(from), 40);
  }
  const auto made = backup_of(from);
  auto manifest = made.checked.manifest;
  const auto older = directory_.path() / "older.snapshot";
  Work work;
  must(copy_pages(made.file, manifest, older, work));
  {
    auto db = must(sqlite::open_database(older, sqlite::Access::kCreate));
    must(db.execute("PRAGMA journal_mode = DELETE; DROP TABLE backup_result; PRAGMA user_version = 5"));
  }
  manifest.schema_version = 5;
  (void)must(seal(older, manifest, work));
  const auto looked_at = verify(older, {});
  ASSERT_TRUE(looked_at) << looked_at.error().detail;
  EXPECT_FALSE(looked_at->audit);
  const auto restored = restore({.file = older, .place = to});
  ASSERT_TRUE(restored) << restored.error().detail;
  EXPECT_TRUE(restored->checked.audit->valid);
  EXPECT_EQ(summary(backup_of(to).checked.manifest), summary(made.checked.manifest));
  EXPECT_FALSE(must(recorded_times(to)).made);
}

using BackupOfPruned = sqlite::AuditTest;

TEST_F(BackupOfPruned, TombstonesComeAlong) {
  fill(60);
  sqlite::pass(std::chrono::days{100});
  {
    auto store = serving();
    put(*store, 61, 70);
    ASSERT_GT(must(store->prune_audit(
                  {sqlite::test_now.load() - std::chrono::microseconds(kAuditRetentionLeast).count()}, "ann")),
              0);
  }
  const TemporaryDirectory elsewhere;
  const auto made = must(make({.place = {.directory = directory_.path()}, .folder = elsewhere.path()}));
  EXPECT_GT(made.checked.manifest.rows("audit_tombstone"), 0);
  EXPECT_TRUE(made.checked.audit->valid) << made.checked.audit->first_bad.value_or("");
  must(backup::restore({.file = made.file, .place = {.directory = elsewhere.path() / "restored"}}));
  const auto again = must(make({.place = {.directory = elsewhere.path() / "restored"}, .folder = elsewhere.path()}));
  EXPECT_EQ(summary(again.checked.manifest), summary(made.checked.manifest));
  // And with the keys that signed them they hold, too.
  auto store = must_open({.directory = elsewhere.path() / "restored", .read_only = true});
  EXPECT_EQ(finding(*store), std::nullopt);
}

TEST_F(BackupOfPruned, ARecordThatWasTamperedWithIsBackedUpAndSaidSo) {
  fill(60);
  tamper("UPDATE audit SET actor = 'nobody' WHERE record & 1099511627775 = 7");
  const TemporaryDirectory elsewhere;
  const auto made = must(make({.place = {.directory = directory_.path()}, .folder = elsewhere.path()}));
  ASSERT_TRUE(made.checked.audit);
  EXPECT_FALSE(made.checked.audit->valid);
  EXPECT_TRUE(verify(made.file, {})) << "the file is what was written";
}

// No migration may add a table or a column that backups do not know.
TEST(BackupTables, AreThoseOfTheSchema) {
  const TemporaryDirectory directory;
  auto db = must(sqlite::connect(directory.path() / "a.db", sqlite::Access::kCreate));
  std::set<std::string> known(left_out().begin(), left_out().end()), there;
  for (const auto& table : tables()) {
    known.insert(table.name);
    auto q =
        db.query_once("SELECT name, type, pk FROM pragma_table_info('" + table.name + "') ORDER BY pk = 0, pk, cid");
    std::vector<Column> columns;
    int keys = 0;
    while (must(q.step())) {
      const auto type = q.text(1);
      columns.push_back({std::string(q.text(0)), type == "INTEGER" ? Kind::kInteger
                                                 : type == "REAL"  ? Kind::kReal
                                                 : type == "TEXT"  ? Kind::kText
                                                                   : Kind::kBytes});
      keys += q.integer(2) > 0 ? 1 : 0;
    }
    EXPECT_EQ(columns, table.columns) << table.name;
    EXPECT_EQ(keys, table.key_columns) << table.name;
  }
  auto q = db.query_once("SELECT name FROM sqlite_master WHERE type = 'table'");
  while (must(q.step())) there.insert(std::string(q.text(0)));
  for (const auto& name : there) EXPECT_TRUE(known.contains(name)) << "backups do not know the table " << name;
}

}  // namespace
}  // namespace detection::store::backup
