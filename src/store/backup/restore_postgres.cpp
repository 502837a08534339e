#include "store/backup/restore_postgres.hpp"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "store/backup/check.hpp"
#include "store/backup/content.hpp"
#include "store/backup/folder.hpp"
#include "store/backup/snapshot_file.hpp"
#include "store/postgres/binary_format.hpp"
#include "store/postgres/engine.hpp"
#include "store/postgres/postgres_connection.hpp"
#include "store/sql/limits.hpp"
#include "store/sqlite/schema.hpp"

namespace detection::store::backup {
namespace {

constexpr std::size_t kCopyBytes = 4 << 20;

/// Rows on their way into tables, by COPY.
class CopyWriter {
 public:
  explicit CopyWriter(sql::Database& db) : db_(static_cast<postgres::PostgresConnection&>(db.connection())) {}

  Result<void> add(const Table& table, Row row) {
    if (table_ != &table) {
      if (auto done = flush(); !done) return done;
      table_ = &table;
    }
    buffer_.begin_row(static_cast<int>(row.size()));
    for (const auto& value : row) put(value);
    return buffer_.bytes() < kCopyBytes ? Result<void>() : flush();
  }
  Result<void> flush() {
    if (buffer_.rows() == 0) return {};
    auto rows = buffer_.finish();
    if (!rows) return std::unexpected(std::move(rows.error()));
    auto done =
        db_.copy_in("COPY " + table_->name + " (" + table_->column_names() + ") FROM STDIN (FORMAT binary)", *rows);
    buffer_.clear();
    return done;
  }

 private:
  void put(const Value& value) {
    if (value.null) return buffer_.add_null();
    switch (value.kind) {
      case Kind::kInteger: return buffer_.add(value.integer);
      case Kind::kReal: return buffer_.add(value.real);
      case Kind::kText: return buffer_.add(value.text);
      case Kind::kBytes: return buffer_.add(value.bytes());
    }
  }
  postgres::PostgresConnection& db_;
  postgres::CopyBuffer buffer_;
  const Table* table_ = nullptr;
};

/// The triggers of the record, off until the end of the transaction: rows come as they are, counts with them.
class QuietTriggers {
 public:
  explicit QuietTriggers(sql::Database& db) : db_(db) {}

  Result<void> silence() {
    auto q = db_.query(
        "SELECT c.relname, t.tgname, t.tgenabled::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND NOT t.tgisinternal "
        "AND t.tgenabled IN ('O', 'A')");
    std::string off;
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      const auto table = std::string(q.text(0)), name = std::string(q.text(1));
      off += "ALTER TABLE " + table + " DISABLE TRIGGER " + name + ";";
      on_ += "ALTER TABLE " + table + (q.text(2) == "A" ? " ENABLE ALWAYS TRIGGER " : " ENABLE TRIGGER ") + name + ";";
    }
    return db_.execute(off);
  }
  Result<void> restore() { return db_.execute(on_); }

 private:
  sql::Database& db_;
  std::string on_;
};

Result<void> refuse_if_served(sql::Database& db) {
  auto q = db.query(
      "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
      "AND application_name LIKE 'detection-api % writer' LIMIT 1");
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return {};
  return fail(ErrorCode::kConflict,
              "the database is being served (" + std::string(q.text(0)) + "); stop every process that serves it first");
}

Result<void> refuse_if_used(sql::Database& db) {
  for (const auto& table : tables()) {
    auto row = db.query("SELECT 1 FROM " + table.name + " LIMIT 1").step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (*row)
      return fail(
          ErrorCode::kConflict,
          "the database holds a record already; --replace puts the snapshot in its place, and what it holds is gone");
  }
  return {};
}

Result<void> empty(sql::Database& db) {
  std::string names;
  for (const auto& table : tables()) names.append(names.empty() ? "" : ", ").append(table.name);
  return db.execute("TRUNCATE " + names + ", sink_lease, shared_usage");
}

/// What the engine keeps beside the record and derives from it.
Result<void> derive(sql::Database& db) {
  // The mean as sql::mean_record_bytes() has it for SQLite.
  auto set =
      db.query(
            "UPDATE log SET head = (SELECT coalesce(max(seq), 0) FROM detection), exceptional = (SELECT "
            "count(*) FROM detection WHERE disposition <> 0), mean_bytes = coalesce((SELECT "
            "avg(octet_length(request_json) + length(object_class) + length(source) + length(camera_id) + "
            "coalesce(length(track_id), 0) + length(cot_uid) + length(cot_type))::float8 + ? FROM (SELECT * FROM "
            "detection ORDER BY seq DESC LIMIT ?) AS newest), 0), changes = changes + 1")
          .bind(static_cast<double>(sql::limits::kRecordBytesBesideTexts))
          .bind(static_cast<std::int64_t>(sql::limits::kMeanOf))
          .run();
  if (!set) return set;
  for (const std::string table : {"sink", "decision"})
    if (auto done = db.execute("SELECT setval(pg_get_serial_sequence('" + table +
                               "', 'number'), greatest(max(number), " + "1), max(number) IS NOT NULL) FROM " + table);
        !done)
      return done;
  return {};
}

/// The pages as a database of this program's schema: within the file where they are, else unpacked.
struct Source {
  std::unique_ptr<Scratch> scratch;
  sql::Database db;
  Checked checked;
};

Result<Source> open_source(const RestoreOptions& options, const Manifest& manifest, Work& work) {
  Source source;
  if (manifest.schema_version == sqlite::schema_version()) {
    auto db = open_pages(options.file, manifest);
    if (!db) return std::unexpected(std::move(db.error()));
    if (auto done = compare(*db, manifest, "comparing", work); !done) return std::unexpected(std::move(done.error()));
    auto audit = check_audit(*db);
    if (!audit) return std::unexpected(std::move(audit.error()));
    source.db = std::move(*db);
    source.checked = {manifest, std::move(*audit)};
    return source;
  }
  std::error_code failure;
  auto folder = std::filesystem::temp_directory_path(failure) / ("detection-restore-" + std::to_string(::getpid()));
  source.scratch = std::make_unique<Scratch>(std::move(folder), work);
  std::filesystem::create_directories(source.scratch->path(), failure);
  const auto file = source.scratch->path() / "detections.db";
  auto checked = unpack(options.file, manifest, file, work);
  if (!checked) return std::unexpected(std::move(checked.error()));
  source.checked = std::move(*checked);
  auto db = sqlite::connect(file, sqlite::Access::kReadOnly);
  if (!db) return std::unexpected(std::move(db.error()));
  source.db = std::move(*db);
  return source;
}

Result<void> fill(sql::Database& db, Source& source, const RestoreOptions& options, Work& work) {
  // Waits for no one for long: whoever serves was refused above, and who comes now waits for us.
  if (auto done = db.execute("SET LOCAL lock_timeout = '10s'; LOCK TABLE log IN ACCESS EXCLUSIVE MODE"); !done)
    return done;
  if (auto done = options.replace ? Result<void>() : refuse_if_used(db); !done) return done;
  QuietTriggers triggers(db);
  if (auto done = triggers.silence(); !done) return done;
  if (auto done = empty(db); !done) return done;
  std::int64_t rows = 0;
  for (const auto& part : source.checked.manifest.parts) rows += part.content.rows;
  CopyWriter writer(db);
  auto written = read_parts(
      source.db, tables(), [&](const Table& table, Row row) { return writer.add(table, row); }, "restoring", rows,
      work);
  if (!written) return std::unexpected(std::move(written.error()));
  if (auto done = writer.flush(); !done) return done;
  if (auto done = derive(db); !done) return done;
  auto there = read_parts(db, tables(), {}, "comparing", rows, work);
  if (!there) return std::unexpected(std::move(there.error()));
  if (*there != *written)
    return fail(ErrorCode::kValidationFailed, "the database does not hold what was written to it; nothing was changed");
  return triggers.restore();
}

}  // namespace

Result<Checked> restore_postgres(const RestoreOptions& options, const Manifest& manifest, Work& work) {
  auto source = open_source(options, manifest, work);
  if (!source) return std::unexpected(std::move(source.error()));
  const auto migrated =
      postgres::migrate({.url = options.place.database_url, .credentials = options.place.database_credentials});
  if (!migrated) return std::unexpected(migrated.error());
  auto db = open_to_replace(options.place);
  if (!db) return std::unexpected(std::move(db.error()));
  if (auto done = refuse_if_served(*db); !done) return std::unexpected(std::move(done.error()));
  auto transaction = sql::Transaction::begin(*db, sql::TransactionKind::kWrite);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  if (auto done = fill(*db, *source, options, work); !done) return std::unexpected(std::move(done.error()));
  if (auto done = transaction->commit(); !done) return std::unexpected(std::move(done.error()));
  // Plans made before would be those of empty tables. Where it fails the server's own turn comes later.
  std::ignore = db->execute("ANALYZE");
  auto audit = check_audit(*db);
  if (!audit) return std::unexpected(std::move(audit.error()));
  source->checked.audit = std::move(*audit);
  return std::move(source->checked);
}

}  // namespace detection::store::backup
