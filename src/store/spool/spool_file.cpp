#include "store/spool/spool_file.hpp"

#include <algorithm>
#include <limits>

#include "store/spool/limits.hpp"
#include "store/spool/payload.hpp"
#include "store/sql/digest.hpp"
#include "store/sqlite/directory_lock.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::spool {

using sql::Database, sql::Query, sql::Transaction, sql::TransactionKind;
using sqlite::Access;

struct SpoolFile::Impl {
  sqlite::DirectoryLock lock;  // outlives the connection
  Database db;
  std::filesystem::path log{};  // of the writing connection
};

namespace {

constexpr std::int64_t kApplicationId = 0x44'53'73'70;  // "DSsp"
constexpr std::int64_t kSchemaVersion = 1;
constexpr std::int64_t kWalAutoCheckpoint = 1'000;  ///< pages

constexpr std::string_view kSchema = R"sql(
-- Waits for the database, in order of number.
CREATE TABLE spooled (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: what was read up to one can be removed up to it
  id BLOB NOT NULL UNIQUE,
  content_sha256 BLOB NOT NULL,
  received INTEGER NOT NULL,                 -- microseconds UTC, as all times here
  spooled INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  payload BLOB NOT NULL,                     -- the whole acceptance: payload.hpp
  payload_sha256 BLOB                        -- of that; NULL: of a program that did not write it yet
) STRICT;
-- Could not be handed over; kept for a person, with the reason.
CREATE TABLE conflict (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  content_sha256 BLOB NOT NULL,
  received INTEGER NOT NULL,
  spooled INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  payload BLOB NOT NULL,
  at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  audited INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX conflict_unaudited ON conflict (number) WHERE audited = 0;
CREATE TABLE probe (number INTEGER PRIMARY KEY CHECK (number = 1), payload BLOB NOT NULL) STRICT;
)sql";

std::unexpected<Error> refuse(const std::filesystem::path& file, const std::string& why) {
  return fail(ErrorCode::kConfiguration, "the spool " + file.string() + " " + why);
}

std::unexpected<Error> of_file(const std::filesystem::path& file, const Error& error) {
  return fail(error.code, "the spool " + file.string() + ": " + error.detail);
}

/// Sets it and reads it back: a durability that is not there must not go unnoticed.
Result<void> set(Database& db, const std::string& name, std::int64_t value) {
  if (auto done = db.execute("PRAGMA " + name + " = " + std::to_string(value)); !done) return done;
  auto now = db.integer("PRAGMA " + name);
  if (!now) return std::unexpected(std::move(now.error()));
  if (*now != value) return fail(ErrorCode::kStoreUnavailable, "its file did not take the setting " + name);
  return {};
}

Result<std::int64_t> number_of(Database& db, std::string_view sql) {
  auto value = db.integer(sql);
  if (!value) return std::unexpected(std::move(value.error()));
  return value->value_or(0);
}

/// SQLite itself does not notice a bit that changes on the disk; a position with one is still a position.
Sha256 sum_of(std::span<const std::uint8_t> payload) {
  sql::Digest digest;
  return digest.raw(payload).finish();
}

/// The column came later than the table. The version before reads and writes the file all the same.
Result<void> add_sums(Database& db) {
  const auto there = number_of(db, "SELECT count(*) FROM pragma_table_info('spooled') WHERE name = 'payload_sha256'");
  if (!there) return std::unexpected(there.error());
  return *there != 0 ? Result<void>() : db.execute("ALTER TABLE spooled ADD COLUMN payload_sha256 BLOB");
}

Result<void> make_schema(Database& db) {
  auto transaction = Transaction::begin(db, TransactionKind::kWrite);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  if (auto done = db.execute(kSchema); !done) return done;
  if (auto done = db.execute("PRAGMA user_version = " + std::to_string(kSchemaVersion) +
                             "; PRAGMA application_id = " + std::to_string(kApplicationId));
      !done)
    return done;
  return transaction->commit();
}

Result<void> prepare(Database& db, const std::filesystem::path& file) {
  const auto application = number_of(db, "PRAGMA application_id"), version = number_of(db, "PRAGMA user_version"),
             tables = number_of(db, "SELECT count(*) FROM sqlite_master");
  for (const auto* value : {&application, &version, &tables})
    if (!*value) return of_file(file, value->error());
  const bool fresh = *application == 0 && *version == 0 && *tables == 0;
  if (!fresh && *application != kApplicationId) return refuse(file, "is a database of another program");
  if (*version > kSchemaVersion)
    return refuse(file, "has schema version " + std::to_string(*version) + ", this program knows versions up to " +
                            std::to_string(kSchemaVersion) + "; use the newer program until it is empty");
  const auto settings = [&]() -> Result<void> {
    constexpr std::int64_t kIncremental = 2, kFull = 2;
    // Before the first table, else it has no effect.
    if (fresh)
      if (auto done = set(db, "auto_vacuum", kIncremental); !done) return done;
    auto mode = db.text("PRAGMA journal_mode = WAL");
    if (!mode) return std::unexpected(std::move(mode.error()));
    if (*mode != "wal")
      return fail(ErrorCode::kStoreUnavailable, "it cannot use a write-ahead log (is the disk a local one?)");
    const std::pair<const char*, std::int64_t> all[] = {{"synchronous", kFull},
                                                        {"journal_size_limit", limits::kJournalBytesKept},
                                                        {"wal_autocheckpoint", kWalAutoCheckpoint}};
    for (const auto& [name, value] : all)
      if (auto done = set(db, name, value); !done) return done;
    return fresh ? make_schema(db) : add_sums(db);
  }();
  if (!settings) return of_file(file, settings.error());
  // A file that can only be read shows here, not at the first detection that needs it.
  auto transaction = Transaction::begin(db, TransactionKind::kWrite);
  if (!transaction) return of_file(file, transaction.error());
  auto written =
      db.query("INSERT INTO probe (number, payload) VALUES (1, x'') ON CONFLICT (number) DO UPDATE SET payload = x''")
          .run();
  if (written) written = transaction->commit();
  if (!written) return of_file(file, written.error());
  std::error_code failure;
  if (std::filesystem::file_size(file, failure) > limits::kCheckedBytes || failure) return {};
  const auto sound = db.text("PRAGMA quick_check(1)");
  if (!sound) return of_file(file, sound.error());
  if (*sound != "ok") return fail(ErrorCode::kStoreUnavailable, "the spool " + file.string() + " is damaged");
  return {};
}

template <class Bytes>
bool copy_exactly(std::span<const std::uint8_t> from, Bytes& to) {
  if (from.size() != to.size()) return false;
  std::ranges::copy(from, to.begin());
  return true;
}

SpooledItem item_of(const Query& q) {
  SpooledItem item{q.integer(0), {q.integer(1)}, q.integer(2), decode(q.bytes(3))};
  if (!q.is_null(4) && !std::ranges::equal(q.bytes(4), sum_of(q.bytes(3))))
    item.acceptance = fail(ErrorCode::kInternal, "a spooled detection is damaged");
  return item;
}

#define SPOOL_ITEM_COLUMNS "number, spooled, bytes, payload, payload_sha256"

}  // namespace

SpoolFile::SpoolFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SpoolFile::SpoolFile(SpoolFile&&) noexcept = default;
SpoolFile& SpoolFile::operator=(SpoolFile&&) noexcept = default;
SpoolFile::~SpoolFile() = default;

Result<SpoolFile> SpoolFile::open(const std::filesystem::path& directory) {
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure)
    return fail(ErrorCode::kConfiguration,
                "cannot make the spool's directory " + directory.string() + ": " + failure.message());
  auto lock = sqlite::DirectoryLock::take(directory);
  if (!lock) return std::unexpected(std::move(lock.error()));
  const auto file = directory / kFileName;
  auto db = sqlite::open_database(file, Access::kCreate);
  if (!db) return of_file(file, db.error());
  if (auto done = set(*db, "busy_timeout", limits::kLockWait.count()); !done) return of_file(file, done.error());
  if (auto done = prepare(*db, file); !done) return std::unexpected(std::move(done.error()));
  return SpoolFile(std::make_unique<Impl>(Impl{std::move(*lock), std::move(*db), file.string() + "-wal"}));
}

Result<SpoolFile> SpoolFile::open_reader(const std::filesystem::path& directory) {
  const auto file = directory / kFileName;
  auto db = sqlite::open_database(file, Access::kQuery);
  if (!db) return of_file(file, db.error());
  if (auto done = set(*db, "busy_timeout", limits::kLockWait.count()); !done) return of_file(file, done.error());
  if (auto done = set(*db, "query_only", 1); !done) return of_file(file, done.error());
  return SpoolFile(std::make_unique<Impl>(Impl{{}, std::move(*db), {}}));
}

Result<void> SpoolFile::write(const std::function<Result<void>()>& work) {
  auto transaction = Transaction::begin(impl_->db, TransactionKind::kWrite);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  if (auto done = work(); !done) return done;
  return transaction->commit();
}

Result<bool> SpoolFile::insert(const Acceptance& item, std::string_view payload, UtcMicros now) {
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
  auto done = impl_->db
                  .query(
                      "INSERT INTO spooled (id, content_sha256, received, spooled, bytes, payload, payload_sha256) "
                      "VALUES (?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING")
                  .bind(item.located.id.bytes)
                  .bind(item.content_sha256)
                  .bind(item.located.received.count)
                  .bind(now.count)
                  .bind(static_cast<std::int64_t>(payload.size()))
                  .bind(bytes)
                  .bind(sum_of(bytes))
                  .run();
  if (!done) return std::unexpected(std::move(done.error()));
  return impl_->db.changes() == 1;
}

Result<void> SpoolFile::remove_up_to(std::int64_t number) {
  return impl_->db.query("DELETE FROM spooled WHERE number <= ?").bind(number).run();
}

Result<void> SpoolFile::keep_as_conflict(std::int64_t number, std::string_view reason, UtcMicros now) {
  auto kept =
      impl_->db
          .query(
              "INSERT INTO conflict (number, id, content_sha256, received, spooled, bytes, payload, at, reason) "
              "SELECT number, id, content_sha256, received, spooled, bytes, payload, ?2, ?3 FROM spooled "
              "WHERE number = ?1")
          .bind(number)
          .bind(now.count)
          .bind(reason)
          .run();
  if (!kept) return kept;
  if (auto gone = impl_->db.query("DELETE FROM spooled WHERE number = ?").bind(number).run(); !gone) return gone;
  // Bounded; what goes first is the oldest that the audit knows.
  return impl_->db
      .query(
          "DELETE FROM conflict WHERE audited = 1 AND number <= "
          "(SELECT number FROM conflict ORDER BY number DESC LIMIT 1 OFFSET ?)")
      .bind(limits::kConflictsKept)
      .run();
}

Result<void> SpoolFile::mark_audited(std::int64_t number) {
  return impl_->db.query("UPDATE conflict SET audited = 1 WHERE number = ?").bind(number).run();
}

Result<void> SpoolFile::probe() {
  return impl_->db
      .query(
          "INSERT INTO probe (number, payload) VALUES (1, zeroblob(?)) ON CONFLICT (number) DO UPDATE SET payload = "
          "excluded.payload")
      .bind(limits::kProbeBytes)
      .run();
}

Result<std::optional<SpooledItem>> SpoolFile::find(const Uuid& id) {
  auto q = impl_->db.query("SELECT " SPOOL_ITEM_COLUMNS " FROM spooled WHERE id = ?");
  auto row = q.bind(id.bytes).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::nullopt;
  return item_of(q);
}

Result<std::vector<SpooledItem>> SpoolFile::oldest(std::int64_t after, std::size_t limit, std::int64_t bytes_most) {
  std::vector<SpooledItem> items;
  auto q = impl_->db.query("SELECT " SPOOL_ITEM_COLUMNS " FROM spooled WHERE number > ? ORDER BY number LIMIT ?");
  q.bind(after).bind(static_cast<std::int64_t>(limit));
  for (std::int64_t bytes = 0; bytes < bytes_most;) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    items.push_back(item_of(q));
    bytes += items.back().bytes;
  }
  return items;
}

Result<std::vector<SpooledItem>> SpoolFile::newest(std::optional<std::int64_t> before, std::size_t limit) {
  std::vector<SpooledItem> items;
  auto q = impl_->db.query("SELECT " SPOOL_ITEM_COLUMNS " FROM spooled WHERE number < ? ORDER BY number DESC LIMIT ?");
  q.bind(before.value_or(std::numeric_limits<std::int64_t>::max())).bind(static_cast<std::int64_t>(limit));
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return items;
    items.push_back(item_of(q));
  }
}

Result<std::vector<Conflict>> SpoolFile::unaudited(std::size_t limit) {
  std::vector<Conflict> conflicts;
  auto q = impl_->db.query(
      "SELECT number, id, content_sha256, received, reason FROM conflict WHERE audited = 0 ORDER BY number LIMIT ?");
  q.bind(static_cast<std::int64_t>(limit));
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return conflicts;
    Conflict one{q.integer(0), {}, {}, {q.integer(3)}, std::string(q.text(4))};
    if (!copy_exactly(q.bytes(1), one.id.bytes) || !copy_exactly(q.bytes(2), one.content_sha256))
      return fail(ErrorCode::kInternal, "a conflict in the spool is damaged");
    conflicts.push_back(std::move(one));
  }
}

Result<Totals> SpoolFile::totals() {
  Totals totals;
  auto q = impl_->db.query("SELECT count(*), ifnull(sum(bytes), 0) FROM spooled");
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  totals.items = q.integer(0);
  totals.bytes = q.integer(1);
  if (auto done = count_conflicts(totals); !done) return std::unexpected(std::move(done.error()));
  auto oldest = oldest_received();
  if (!oldest) return std::unexpected(std::move(oldest.error()));
  totals.oldest = *oldest;
  return totals;
}

Result<void> SpoolFile::count_conflicts(Totals& totals) {
  auto q = impl_->db.query("SELECT count(*), ifnull(sum(bytes), 0) FROM conflict");
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  totals.conflicts = q.integer(0);
  totals.conflict_bytes = q.integer(1);
  return {};
}

Result<std::optional<UtcMicros>> SpoolFile::oldest_received() {
  auto found = impl_->db.integer("SELECT received FROM spooled ORDER BY number LIMIT 1");
  if (!found) return std::unexpected(std::move(found.error()));
  if (!*found) return std::nullopt;
  return UtcMicros{**found};
}

void SpoolFile::bound_log() noexcept {
  // SQLite itself copies it at each 1,000 pages; a reader in its way at every such moment is all that lets it grow.
  std::error_code failure;
  const auto bytes = std::filesystem::file_size(impl_->log, failure);
  if (failure || bytes < static_cast<std::uintmax_t>(limits::kJournalBytesMost)) return;
  [[maybe_unused]] const auto done = impl_->db.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<bool> SpoolFile::shrink() {
  auto unused = number_of(impl_->db, "PRAGMA freelist_count");
  if (!unused) return std::unexpected(std::move(unused.error()));
  if (*unused <= limits::kUnusedPagesKept) return false;
  if (auto done = impl_->db.execute("PRAGMA incremental_vacuum(" + std::to_string(limits::kPagesGivenBack) + ")");
      !done)
    return std::unexpected(std::move(done.error()));
  return true;
}

}  // namespace detection::store::spool
