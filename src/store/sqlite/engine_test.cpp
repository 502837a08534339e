// What only the SQLite engine has: its file, its settings, its lock, its log.

#include "store/sqlite/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "contract/store_support.hpp"
#include "store/sql/digest.hpp"
#include "store/sqlite/schema.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::sqlite {

using namespace sql;

namespace {

using testing::commit;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::sample;
using testing::sample_id;

class SqliteEngine : public ::testing::Test {
 protected:
  [[nodiscard]] Result<std::unique_ptr<Store>> try_open(bool read_only = false) const {
    return open({.directory = directory_.path(), .read_only = read_only, .metrics = nullptr});
  }
  [[nodiscard]] std::unique_ptr<Store> must_open(bool read_only = false) const {
    auto store = try_open(read_only);
    if (!store) throw std::runtime_error(store.error().detail);
    return std::move(*store);
  }
  [[nodiscard]] std::filesystem::path file() const { return directory_.path() / "detections.db"; }

  /// As somebody with the file in hand would, past this program.
  void tamper(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &db), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message;
    sqlite3_free(message);
    EXPECT_EQ(sqlite3_close(db), SQLITE_OK);
  }
  [[nodiscard]] static std::vector<Acceptance> samples(std::uint64_t first, std::uint64_t last) {
    std::vector<Acceptance> items;
    for (auto i = first; i <= last; ++i) items.push_back(sample(i));
    return items;
  }
  void expect_tampering_found(const std::string& sql, const std::string& what) {
    {
      auto store = must_open();
      if (store->status().detections == 0) {
        ASSERT_FALSE(commit(*store, samples(1, 5))->error);
        ASSERT_TRUE(store->record({.type = "config_loaded"}));
      }
      ASSERT_TRUE(store->verify_audit()->valid);
    }
    const auto kept = directory_.path() / "kept";
    std::filesystem::copy_file(file(), kept, std::filesystem::copy_options::overwrite_existing);
    tamper(
        "DROP TRIGGER detection_is_immutable; DROP TRIGGER detection_is_kept; DROP TRIGGER audit_is_immutable;"
        "DROP TRIGGER audit_is_kept; DROP TRIGGER audit_chain_is_immutable; DROP TRIGGER audit_chain_is_kept;" +
        sql);
    {
      auto store = must_open();
      const auto verdict = store->verify_audit();
      ASSERT_TRUE(verdict) << verdict.error().detail;
      EXPECT_FALSE(verdict->valid) << sql;
      EXPECT_THAT(verdict->first_bad.value_or(""), HasSubstr(what)) << sql;
    }
    std::filesystem::copy_file(kept, file(), std::filesystem::copy_options::overwrite_existing);
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(SqliteEngine, TheSettingsThatDurabilityRestsOnAreInForce) {
  (void)must_open();
  auto db = connect(file(), Access::kCreate);
  ASSERT_TRUE(db) << db.error().detail;
  EXPECT_EQ(*db->text("PRAGMA journal_mode"), "wal");
  const std::pair<const char*, std::int64_t> expected[] = {{"synchronous", 2},
                                                           {"foreign_keys", 1},
                                                           {"wal_autocheckpoint", 0},
                                                           {"recursive_triggers", 1},
                                                           {"busy_timeout", 5'000},
                                                           {"application_id", kApplicationId},
                                                           {"journal_size_limit", 64 << 20},
                                                           {"user_version", schema_version()}};
  for (const auto& [name, value] : expected) EXPECT_EQ(*db->integer(std::string("PRAGMA ") + name), value) << name;
  auto reader = connect(file(), Access::kQuery);
  ASSERT_TRUE(reader);
  EXPECT_FALSE(reader->execute("DELETE FROM probe")) << "a reader could write";
}

TEST_F(SqliteEngine, RowsOfTheRecordAreNeitherChangedNorDeleted) {
  {
    auto store = must_open();
    ASSERT_FALSE(commit(*store, samples(1, 2))->error);
    ASSERT_TRUE(store->open_sink("tak"));
    const auto claim = store->claim("tak", 1);
    ASSERT_TRUE(store->confirm(*claim, Confirmation::kConfirmed, {}));
  }
  auto db = connect(file(), Access::kCreate);
  ASSERT_TRUE(db);
  for (const char* sql :
       {"UPDATE detection SET lat = 1", "DELETE FROM detection", "DELETE FROM audit", "UPDATE audit SET body = '{}'",
        "DELETE FROM audit_chain", "UPDATE audit_chain SET name = 'x'", "DELETE FROM delivery",
        "UPDATE delivery SET last_seq = 2", "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE record > 0",
        "REPLACE INTO detection SELECT * FROM detection WHERE seq = 1"})
    EXPECT_FALSE(db->execute(sql)) << sql;
}

TEST_F(SqliteEngine, TamperingIsFound) {
  expect_tampering_found("UPDATE detection SET lat = 48.26 WHERE seq = 3", "record 3: detection 3 was changed");
  expect_tampering_found("UPDATE detection SET request_json = '{}' WHERE seq = 1", "detection 1 was changed");
  expect_tampering_found("UPDATE detection SET accepted_in = accepted_in + 1 WHERE seq = 2", "detection 2 was changed");
  expect_tampering_found("UPDATE detection SET disposition = 9 WHERE seq = 2", "detection 2 was changed");
  expect_tampering_found("UPDATE detection SET measures = x'00' WHERE seq = 4", "detection 4 was changed");
  expect_tampering_found("DELETE FROM detection WHERE seq = 5", "record 5: detection 5 is missing");
  expect_tampering_found("UPDATE audit SET body = replace(body, 'queued', 'held') WHERE detection = 2",
                         "record 2: its hash");
  expect_tampering_found("UPDATE audit SET at = at + 1 WHERE detection = 1", "record 1: its hash");
  expect_tampering_found("UPDATE audit SET actor = 'x' WHERE detection IS NULL", "record 6: its hash");
  expect_tampering_found("UPDATE audit SET subject = x'01' WHERE detection = 4", "record 4: its hash");
  expect_tampering_found("DELETE FROM audit WHERE detection = 3", "record 3: it is missing");
  expect_tampering_found("DELETE FROM audit WHERE detection = 1", "record 1: it is missing");
  expect_tampering_found("DELETE FROM audit; DELETE FROM audit_chain", "5 detections, but 0 acceptances");
  expect_tampering_found("UPDATE audit_chain SET name = 'other'", "chain other, record 1: its hash");
  expect_tampering_found(
      "INSERT INTO audit SELECT 5 << 40, at, type, severity, actor, subject, NULL, NULL, body, sha256 "
      "FROM audit LIMIT 1",
      "no known chain");
  expect_tampering_found(
      "INSERT INTO audit SELECT 1 << 40, at, type, severity, actor, subject, NULL, NULL, body, sha256 "
      "FROM audit LIMIT 1",
      "no known chain");
  expect_tampering_found("DELETE FROM audit WHERE record & 0xff > 4",
                         "there are 5 detections, but 4 acceptances");  // cut off at its end
  expect_tampering_found(
      "INSERT INTO detection SELECT 6, x'00000000000000000000000000000099', disposition, flag, observed, received, "
      "lat, "
      "lon, hae, ce90, le90, ai_confidence, object_class, source, camera_id, track_id, cot_uid, cot_type, marks, "
      "measures, content_sha256, accepted_in, request_json FROM detection WHERE seq = 1",
      "there are 6 detections, but 5 acceptances");
}

TEST_F(SqliteEngine, ARunningProcessAlsoSeesItsLastRecordsTakenAway) {
  auto store = must_open();
  ASSERT_TRUE(store->record({.type = "config_loaded"}));
  ASSERT_TRUE(store->record({.type = "config_loaded"}));
  tamper("DROP TRIGGER audit_is_kept; DELETE FROM audit WHERE record & 0xff = 2");
  const auto verdict = store->verify_audit();
  ASSERT_TRUE(verdict);
  EXPECT_FALSE(verdict->valid);
  EXPECT_THAT(verdict->first_bad.value_or(""), HasSubstr("record 2: it was written and is gone"));
}

TEST_F(SqliteEngine, ACloseEndsTheCheckOfTheAudit) {
  auto store = must_open();
  ASSERT_FALSE(commit(*store, samples(1, 5))->error);
  ASSERT_TRUE(store->verify_audit());
  store->close();  // a check that runs looks at the same mark before each slice
  const auto ended = store->verify_audit();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::kStoreUnavailable);
}

TEST_F(SqliteEngine, AHashCanBeMadeFromTheColumnsAsAuditHppSays) {
  {
    auto store = must_open();
    ASSERT_TRUE(store->record({.type = "key_created",
                               .severity = "INFO",
                               .actor = "ann",
                               .subject = sample_id(7),
                               .detail_json = R"({"kid":"k1"})"}));
  }
  auto db = connect(file(), Access::kCreate);
  ASSERT_TRUE(db);
  auto q = db->query("SELECT at, sha256 FROM audit");
  ASSERT_TRUE(*q.step());
  const auto number = [](std::int64_t value) {
    std::string out;
    for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
  };
  const auto text = [&](const std::string& value) { return number(static_cast<std::int64_t>(value.size())) + value; };
  const auto id = sample_id(7);
  const std::string message = std::string(32, '\0') + text("serve") + number(1) + number(q.integer(0)) +
                              text("key_created") + text("INFO") + text("ann") + "\1" +
                              text(std::string(id.bytes.begin(), id.bytes.end())) + std::string(2, '\0') +
                              text(R"({"kid":"k1"})");
  Digest digest;
  digest.raw({reinterpret_cast<const std::uint8_t*>(message.data()), message.size()});
  EXPECT_EQ(hex(digest.finish()), hex(q.bytes(1)));
  const std::string abc = "abc";  // FIPS 180-4's example
  digest.raw({reinterpret_cast<const std::uint8_t*>(abc.data()), abc.size()});
  EXPECT_EQ(hex(digest.finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(SqliteEngine, AnotherChainStandsBesideTheFirst) {
  {
    auto store = must_open();
    ASSERT_FALSE(commit(*store, samples(1, 2))->error);
  }
  {
    auto other = open({.directory = directory_.path(), .audit_chain = "command"});
    ASSERT_TRUE(other) << other.error().detail;
    ASSERT_TRUE((*other)->record({.type = "key_created"}));
  }
  auto store = must_open();
  ASSERT_FALSE(commit(*store, samples(3, 3))->error);
  const auto verdict = store->verify_audit();
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->valid) << *verdict->first_bad;
  ASSERT_EQ(verdict->chains.size(), 2U);
  EXPECT_EQ(verdict->chains[0].records, 3);
  EXPECT_EQ(verdict->chains[1].records, 1);
  EXPECT_EQ(verdict->chains[1].name, "command");
}

TEST_F(SqliteEngine, OneProcessServesADirectory) {
  auto store = must_open();
  const auto second = try_open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConfiguration);
  EXPECT_THAT(second.error().detail, HasSubstr(directory_.path().string()));
  EXPECT_THAT(second.error().detail, HasSubstr("pid " + std::to_string(::getpid())));
  store.reset();
  EXPECT_TRUE(try_open());
}

TEST_F(SqliteEngine, AReaderBesideItSeesWhatIsCommittedAndWritesNothing) {
  EXPECT_FALSE(try_open(true)) << "there is nothing to read yet";
  auto store = must_open();
  auto reader = must_open(true);
  ASSERT_TRUE(store->open_sink("tak"));
  ASSERT_FALSE(commit(*store, samples(1, 3))->error);
  const auto claim = store->claim("tak", 2);
  ASSERT_TRUE(store->confirm(*claim, Confirmation::kConfirmed, {}));
  EXPECT_TRUE(*reader->find(sample_id(3)));
  EXPECT_EQ(reader->status().detections, 3);
  EXPECT_FALSE(reader->status().writable);
  EXPECT_EQ(reader->list({}, std::nullopt, 10)->items.size(), 3U);
  EXPECT_EQ(reader->delivery_status(sample_id(1))->state, DeliveryState::kDelivered);
  EXPECT_EQ(reader->timeline(sample_id(1))->size(), 8U);
  EXPECT_TRUE(reader->verify_audit()->valid);
  const auto queues = reader->sink_queues();
  ASSERT_EQ(queues->size(), 1U);
  EXPECT_EQ(queues->at(0).queued, 1);
  EXPECT_EQ(queues->at(0).delivered, 2);
  EXPECT_EQ(queues->at(0).oldest_queued, sample(3).located.received);
  EXPECT_FALSE(reader->record({.type = "x"}));
  EXPECT_FALSE(reader->open_sink("x"));
  EXPECT_FALSE(reader->claim("tak", 1));
  EXPECT_TRUE(commit(*reader, samples(4, 4))->error);
  store.reset();
  EXPECT_EQ(reader->status().detections, 3) << "it reads on when the writer has gone";
}

TEST_F(SqliteEngine, CountsWhatItDoes) {
  telemetry::Metrics metrics;
  auto store = open({.directory = directory_.path(), .metrics = &metrics});
  ASSERT_TRUE(store) << store.error().detail;
  ASSERT_FALSE(commit(**store, samples(1, 3))->error);
  ASSERT_TRUE((*store)->record({.type = "auth_failure", .severity = "WARNING"}));
  ASSERT_TRUE((*store)->open_sink("tak"));
  const auto claim = (*store)->claim("tak", 2);
  ASSERT_TRUE((*store)->confirm(*claim, Confirmation::kConfirmed, {}));
  const auto text = metrics.expose();
  for (const char* line :
       {"store_commit_batch_size_sum 3\n", "store_commit_duration_seconds_count 1\n",
        "audit_events_total{event_type=\"detection_received\",severity=\"INFO\"} 3\n",
        "audit_events_total{event_type=\"detection_queued\",severity=\"INFO\"} 3\n",
        "audit_events_total{event_type=\"tak_push_success\",severity=\"INFO\"} 2\n",
        "audit_events_total{event_type=\"auth_failure\",severity=\"WARNING\"} 1\n", "store_queue_jobs 0\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(SqliteEngine, FilesThatAreNotOursAreRefused) {
  (void)must_open();
  tamper("PRAGMA user_version = 99");
  auto store = try_open();
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::kConfiguration);
  EXPECT_THAT(store.error().detail, HasSubstr("schema version 99"));
  EXPECT_FALSE(try_open(true));

  std::filesystem::remove(file());
  tamper("CREATE TABLE other (x)");
  store = try_open();
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().detail, HasSubstr("another program"));

  std::filesystem::remove(file());
  std::ofstream(file()) << std::string(8192, 'x');
  store = try_open();
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::kStoreUnavailable);
  EXPECT_THAT(store.error().detail, HasSubstr("not a database"));

  // Cut off to nothing: a reader is not sent to a command that there is not.
  for (const std::uintmax_t left : {0U, 1U}) {
    std::filesystem::resize_file(file(), left);
    store = try_open(true);
    ASSERT_FALSE(store);
    EXPECT_THAT(store.error().detail, HasSubstr(left == 0 ? "is empty; " : "detections.db"));
    EXPECT_THAT(store.error().detail, Not(HasSubstr("migrate")));
  }

  std::filesystem::remove(file());
  std::filesystem::create_directory(file());
  EXPECT_FALSE(try_open());
}

TEST_F(SqliteEngine, ADamagedFileIsNamedAsSuch) {
  {
    auto store = must_open();
    ASSERT_FALSE(commit(*store, samples(1, 2'000))->error);
  }
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(file()));
  {
    std::fstream damage(file(), std::ios::in | std::ios::out | std::ios::binary);
    for (std::streamoff at = 16 * 4096; at < size; at += 4096) {
      damage.seekp(at);
      damage << std::string(512, '\xa5');
    }
  }
  auto store = try_open();
  if (!store) {
    EXPECT_THAT(store.error().detail, HasSubstr("damaged"));
    return;
  }
  const auto verdict = (*store)->verify_audit();
  if (verdict)
    EXPECT_FALSE(verdict->valid);
  else
    EXPECT_THAT(verdict.error().detail, HasSubstr("damaged"));
}

TEST_F(SqliteEngine, TheWholeFileIsLookedAtAfterAnUncleanStop) {
  {
    auto store = must_open();
    ASSERT_FALSE(commit(*store, samples(1, 2'000))->error);
  }
  // A page that no start reads; and as a kill leaves it, a log beside the file.
  const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(file()) / 8192 * 4096);
  {
    std::fstream damage(file(), std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(middle);
    damage << std::string(4096, '\xa5');
  }
  {
    std::ofstream(file().string() + "-wal") << "x";
  }
  auto store = try_open();
  ASSERT_TRUE(store) << store.error().detail;
  for (int k = 0; k < 1'000 && (*store)->status().writable; ++k)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE((*store)->status().writable);
  EXPECT_THAT((*store)->status().reason, HasSubstr("damaged"));
}

TEST_F(SqliteEngine, TheLogStaysBoundedAndRecoversFromALongReader) {
  const auto log_bytes = [&] {
    std::error_code none;
    const auto bytes = std::filesystem::file_size(file().string() + "-wal", none);
    return none ? 0 : bytes;
  };
  auto store = must_open();
  std::uint64_t next = 0;
  const auto write = [&](int jobs) {
    for (int k = 0; k < jobs; ++k) {
      auto items = samples(next, next + 499);
      next += 500;
      for (auto& item : items) item.request_json.assign(3'000, ' ');
      ASSERT_FALSE(commit(*store, std::move(items))->error);
    }
  };
  constexpr std::uint64_t kBound = 8'192 * 4'120, kOneCommit = 8u << 20;
  write(40);  // about 80 MB
  EXPECT_LT(log_bytes(), kBound + kOneCommit);

  sqlite3* reader = nullptr;
  ASSERT_EQ(sqlite3_open(file().c_str(), &reader), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM probe", nullptr, nullptr, nullptr), SQLITE_OK);
  write(40);
  const auto behind_reader = log_bytes();
  EXPECT_GT(behind_reader, kBound) << "the reader did not stand in the way; the test shows nothing";
  sqlite3_close(reader);
  write(40);
  EXPECT_LE(log_bytes(), behind_reader + kOneCommit + (2'048 * 4'120)) << "it grew on after the reader was gone";
  EXPECT_TRUE(store->verify_audit()->valid);
}

}  // namespace
}  // namespace detection::store::sqlite
