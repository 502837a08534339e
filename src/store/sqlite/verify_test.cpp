// The check of the audit against somebody who has the file in hand.

#include <gmock/gmock.h>

#include <fstream>
#include <map>
#include <random>

#include "store/sqlite/audit_support.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::sqlite {

using namespace sql;
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

/// One column of one record, as it is stored.
struct Value {
  int type = SQLITE_NULL;
  std::int64_t number = 0;
  std::string bytes;
};

/// Flips one bit of it; a value without bits becomes one that has some.
Value flipped(Value value, std::mt19937& random) {
  switch (value.type) {
    case SQLITE_INTEGER: value.number ^= std::int64_t{1} << (random() % 63); break;
    case SQLITE_NULL: value = {SQLITE_BLOB, 0, std::string(1, static_cast<char>(random()))}; break;
    default:
      if (value.bytes.empty())
        value.bytes = "x";
      else
        value.bytes[random() % value.bytes.size()] ^= static_cast<char>(1U << (random() % 8));
  }
  return value;
}

class RawFile {
 public:
  explicit RawFile(const std::filesystem::path& file) {
    if (sqlite3_open(file.c_str(), &db_) != SQLITE_OK) throw std::runtime_error("cannot open the file");
    sqlite3_exec(db_, "DROP TRIGGER audit_is_immutable", nullptr, nullptr, nullptr);
  }
  ~RawFile() { sqlite3_close(db_); }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  Value read(const std::string& column, std::int64_t record) {
    auto* q = prepare("SELECT " + column + " FROM audit WHERE record = ?");
    sqlite3_bind_int64(q, 1, record);
    Value value;
    if (sqlite3_step(q) == SQLITE_ROW) {
      value.type = sqlite3_column_type(q, 0);
      value.number = sqlite3_column_int64(q, 0);
      const auto* data = static_cast<const char*>(sqlite3_column_blob(q, 0));
      if (data != nullptr) value.bytes.assign(data, static_cast<std::size_t>(sqlite3_column_bytes(q, 0)));
    }
    sqlite3_finalize(q);
    return value;
  }
  /// False where the table does not take it (an integer's column takes no bytes, a key is there already).
  bool write(const std::string& column, std::int64_t record, const Value& value) {
    auto* q = prepare("UPDATE audit SET " + column + " = ? WHERE record = ?");
    const auto size = static_cast<int>(value.bytes.size());
    if (value.type == SQLITE_INTEGER)
      sqlite3_bind_int64(q, 1, value.number);
    else if (value.type == SQLITE_TEXT)
      sqlite3_bind_text(q, 1, value.bytes.data(), size, SQLITE_STATIC);
    else
      sqlite3_bind_blob(q, 1, value.bytes.data(), size, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, record);
    sqlite3_step(q);
    const bool done = sqlite3_finalize(q) == SQLITE_OK && sqlite3_changes(db_) == 1;
    return done;
  }
  std::vector<std::int64_t> records() {
    auto* q = prepare("SELECT record FROM audit");
    std::vector<std::int64_t> all;
    while (sqlite3_step(q) == SQLITE_ROW) all.push_back(sqlite3_column_int64(q, 0));
    sqlite3_finalize(q);
    return all;
  }

 private:
  sqlite3_stmt* prepare(const std::string& sql) {
    sqlite3_stmt* q = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &q, nullptr) != SQLITE_OK) throw std::runtime_error(sql);
    return q;
  }
  sqlite3* db_ = nullptr;
};

TEST_F(AuditTest, AFlippedBitInAnyColumnOfAnyRecordIsFound) {
  fill(60);
  ASSERT_EQ(finding(), std::nullopt);
  keep();
  constexpr unsigned kSeed = 20'261'124;
  std::mt19937 random(kSeed);
  const std::string columns[] = {"record",           "at",   "type",  "severity", "actor", "subject", "detection",
                                 "detection_sha256", "body", "sha256"};
  std::map<std::string, int> trials;
  int done = 0, found = 0;
  for (int attempt = 0; done < 100 && attempt < 1'000; ++attempt) {
    restore();
    const auto& column = columns[random() % std::size(columns)];
    std::string what;
    {
      RawFile raw(file());
      const auto records = raw.records();
      const auto record = records[random() % records.size()];
      auto value = flipped(raw.read(column, record), random);
      if (column == "detection" && value.type == SQLITE_BLOB) value = {SQLITE_INTEGER, 1 + attempt % 60, ""};
      if (!raw.write(column, record, value)) continue;
      what = column + " of record " + std::to_string(record);
    }
    ++done;
    ++trials[column];
    const auto said = finding();
    EXPECT_TRUE(said) << what << " was changed and not missed; seed " << kSeed;
    if (said) ++found;
  }
  EXPECT_EQ(done, 100);
  EXPECT_EQ(found, 100);
  EXPECT_EQ(trials.size(), std::size(columns)) << "each column had its turn";
}

/// Every record as the file gives it out; none when it gives out no more.
std::optional<std::string> all_records(const std::filesystem::path& file) {
  auto db = open_database(file, Access::kReadOnly);
  if (!db) return std::nullopt;
  std::string sql = "SELECT record";
  for (const char* column :
       {"at", "type", "severity", "actor", "subject", "detection", "detection_sha256", "body", "sha256"})
    sql += std::string(" || '|' || typeof(") + column + ") || hex(CAST(" + column + " AS BLOB))";
  auto q = db->query_once(sql + " FROM audit NOT INDEXED");
  std::string all;
  while (true) {
    const auto row = q.step();
    if (!row) return std::nullopt;
    if (!*row) return all;
    all.append(q.text(0)).push_back('\n');
  }
}

TEST_F(AuditTest, AFlippedByteInThePagesOfTheAuditIsFound) {
  fill(60);
  ASSERT_EQ(finding(), std::nullopt);
  std::filesystem::remove(file().string() + "-wal");
  keep();
  const auto before = all_records(file());
  ASSERT_TRUE(before);
  std::vector<std::int64_t> pages;
  {
    auto db = open_database(file(), Access::kReadOnly);
    ASSERT_TRUE(db);
    auto q = db->query_once("SELECT pageno FROM dbstat WHERE name = 'audit'");
    auto row = q.step();
    if (!row) GTEST_SKIP() << "SKIPPED, NOT TESTED: this SQLite has no table dbstat";
    for (; row && *row; row = q.step()) pages.push_back(q.integer(0));
  }
  ASSERT_GT(pages.size(), 3U);
  constexpr unsigned kSeed = 77;
  std::mt19937 random(kSeed);
  int done = 0, found = 0, damaged = 0;
  for (int attempt = 0; done < 100 && attempt < 2'000; ++attempt) {
    restore();
    const auto offset = (pages[random() % pages.size()] - 1) * 4096 + static_cast<std::int64_t>(random() % 4096);
    const auto mask = static_cast<char>(1 + random() % 255);
    {
      std::fstream raw(file(), std::ios::binary | std::ios::in | std::ios::out);
      raw.seekg(offset);
      const char byte = static_cast<char>(raw.get() ^ mask);
      raw.seekp(offset);
      raw.put(byte);
      ASSERT_TRUE(raw.good());
    }
    const auto after = all_records(file());
    if (after == before) continue;  // unused space
    if (!after) ++damaged;
    ++done;
    const auto said = finding();
    EXPECT_TRUE(said) << "the byte at " << offset << " was changed and not missed; seed " << kSeed;
    if (said) ++found;
  }
  EXPECT_EQ(done, 100);
  EXPECT_EQ(found, 100);
  EXPECT_LT(damaged, 100) << "not all of them are for SQLite to find";
}

TEST_F(AuditTest, RecordsRemovedInsertedReorderedOrRenumberedAreFound) {
  fill(20);
  keep();
  const std::string swap =
      "CREATE TEMP TABLE t AS SELECT * FROM audit; DELETE FROM audit;"
      "INSERT INTO audit SELECT CASE record & 255 WHEN 4 THEN record + 1 WHEN 5 THEN record - 1 ELSE record END, at, "
      "type,"
      "severity, actor, subject, detection, detection_sha256, body, sha256 FROM t";
  for (const std::string& sql :
       {std::string("DELETE FROM audit WHERE record & 255 = 7"),
        std::string("DELETE FROM audit WHERE record & 255 = 1"), swap,
        std::string("UPDATE audit SET record = record + 1 WHERE record = (SELECT max(record) FROM audit)"),
        std::string("UPDATE audit SET record = record + (1 << 40) WHERE record > (2 << 40)"),
        std::string(
            "INSERT INTO audit SELECT max(record) + 1, at, type, severity, actor, subject, NULL, NULL, body, sha256 "
            "FROM audit")}) {
    restore();
    tamper(sql);
    EXPECT_TRUE(finding()) << sql;
  }
}

TEST_F(AuditTest, AnEndThatIsCutOffIsFoundAlsoAfterTheStoreWentOn) {
  fill(20);
  keep();
  const auto cut = [](const std::string& which) { return "DELETE FROM audit WHERE " + which; };
  // The last of the chain of a command; all of it, with its name; the last acceptances; all but one.
  for (const std::string& sql :
       {cut("record = (SELECT max(record) FROM audit)"),
        cut("record > (2 << 40)") + "; DELETE FROM audit_chain WHERE number = 2",
        cut("record < (2 << 40) AND record > (1 << 40) + 20"), cut("record < (2 << 40) AND record > (1 << 40) + 1")}) {
    restore();
    tamper(sql);
    EXPECT_TRUE(finding()) << sql;
    {
      auto store = serving();
      EXPECT_TRUE(store->record({.type = "config_loaded"}));
      auto other = beside();
      for (int i = 0; i < 4; ++i) EXPECT_TRUE(other->record({.type = "key_created"}));
      EXPECT_TRUE(finding(*store)) << "what came behind it hid it: " << sql;
    }
    EXPECT_TRUE(finding()) << "what came behind it hid it: " << sql;
  }
  restore();
  tamper("DELETE FROM audit_head");
  EXPECT_THAT(finding(), Optional(HasSubstr("what remembers its end is gone")));
  restore();
  tamper("UPDATE audit_head SET number = number - 1 WHERE chain = 2");
  EXPECT_TRUE(finding());
  restore();
  tamper("UPDATE audit_head SET sha256 = zeroblob(32)");
  EXPECT_THAT(finding(), Optional(HasSubstr("it is not the record that was written")));
}

TEST_F(AuditTest, AColumnOfAnotherTypeIsFound) {
  fill(20);
  keep();
  for (const char* change : {"UPDATE audit SET body = CAST(body AS BLOB) WHERE record & 255 = 3",
                             "UPDATE audit SET sha256 = CAST(sha256 AS TEXT) WHERE record & 255 = 3",
                             "UPDATE detection SET source = CAST(source AS BLOB) WHERE seq = 2"}) {
    // STRICT refuses it, so the table is made anew without.
    restore();
    tamper(
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE name IN "
        "('audit', 'detection'); PRAGMA writable_schema = RESET;" +
        std::string(change));
    EXPECT_TRUE(finding()) << change;
  }
}

TEST_F(AuditTest, ADecisionThatIsNotWhatItsRecordSaysIsFound) {
  fill(20);
  {
    auto store = serving();
    std::vector<Acceptance> held;
    for (const auto i : {31U, 32U, 33U}) {
      held.push_back(sample(i));
      held.back().disposition = Disposition::kHold;
    }
    ASSERT_FALSE(commit(*store, std::move(held))->error);
    const auto decide = [&](std::uint64_t i, bool verified, UtcMicros at = {}) {
      const auto done = store->verify({sample_id(i), {verified, "a \"note\"", "ann", at}, "r"});
      ASSERT_TRUE(done && done->changed);
    };
    decide(31, true);
    decide(32, false, UtcMicros{77});
    decide(31, false);
    EXPECT_EQ(finding(*store), std::nullopt);
  }
  EXPECT_EQ(finding(), std::nullopt);
  keep();
  for (const char* change :
       {"UPDATE decision SET verified = 1 - verified WHERE number = 2",
        "UPDATE decision SET notes = notes || ' ' WHERE number = 1",
        "UPDATE decision SET actor = 'bob' WHERE number = 1", "UPDATE decision SET at = at + 1 WHERE number = 1",
        "UPDATE decision SET at = at + 1 WHERE number = 2", "UPDATE decision SET seq = seq + 1 WHERE number = 2",
        "UPDATE decision SET track = 'x' WHERE number = 2", "UPDATE decision SET record = record + 1 WHERE number = 2",
        "UPDATE decision SET number = 7 WHERE number = 1", "DELETE FROM decision WHERE number = 2",
        "DELETE FROM decision WHERE number = 3", "DELETE FROM decision",
        "INSERT INTO decision SELECT 9, seq, verified, notes, actor, at, record, sinks, track "
        "FROM decision WHERE number = 1",
        "INSERT INTO decision SELECT 9, 23, 1, notes, actor, at, 5, sinks, track FROM decision "
        "WHERE number = 1"}) {
    restore();
    tamper(change);
    EXPECT_THAT(finding(), Optional(HasSubstr("decision"))) << change;
  }
  restore();
  EXPECT_EQ(finding(), std::nullopt);
  pass(std::chrono::days{200});
  auto store = serving();
  put(*store, 41, 45);
  ASSERT_TRUE(store->prune_audit(test_clock() + -std::chrono::days{100}, "ann"));
  EXPECT_EQ(finding(*store), std::nullopt) << "their records are pruned";
}

}  // namespace
}  // namespace detection::store::sqlite
