#include "store/backup/snapshot_database.hpp"

#include <fcntl.h>

#include "store/backup/breathing.hpp"
#include "store/sqlite/schema.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {
namespace {

// Nobody else has the file, and one that is broken off is thrown away: no journal, no waiting for the disk. What the
// cache holds back is written at the end, all at once.
constexpr std::string_view kSettings =
    "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; "
    "PRAGMA cache_size = -4096; PRAGMA secure_delete = 0;";

std::string insert_text(const Table& table) {
  std::string sql = "INSERT INTO " + table.name + " (" + table.column_names() + ") VALUES (";
  for (std::size_t i = 0; i < table.columns.size(); ++i) sql += i == 0 ? "?" : ",?";
  return sql + ")";
}

void bind(sql::Statement& statement, int index, const Value& value) {
  if (value.null) return statement.bind_null(index);
  switch (value.kind) {
    case Kind::kInteger: return statement.bind(index, value.integer);
    case Kind::kReal: return statement.bind(index, value.real);
    case Kind::kText: return statement.bind(index, value.text);
    case Kind::kBytes: return statement.bind(index, value.bytes());
  }
}

}  // namespace

Result<SnapshotDatabase> SnapshotDatabase::create(const std::filesystem::path& path, Work& work) {
  // Before SQLite makes it readable for everybody.
  auto file = File::open(path, O_RDWR | O_CREAT | O_EXCL);
  if (!file) return std::unexpected(std::move(file.error()));
  auto db = sqlite::open_database(path, sqlite::Access::kCreate);
  if (!db) return std::unexpected(std::move(db.error()));
  SnapshotDatabase out(std::move(*file), std::move(*db), work);
  if (auto done = out.db_.execute(kSettings); !done) return std::unexpected(std::move(done.error()));
  if (auto done = out.db_.execute("BEGIN"); !done) return std::unexpected(std::move(done.error()));
  for (std::int64_t step = 1; step <= sqlite::schema_version(); ++step)
    if (auto done = out.db_.execute(sqlite::schema_step(step)); !done) return std::unexpected(std::move(done.error()));
  if (auto done = out.take_definitions(); !done) return std::unexpected(std::move(done.error()));
  return out;
}

Result<void> SnapshotDatabase::take_definitions() {
  std::string drops;
  auto q = db_.query_once(
      "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type");
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    drops.append("DROP ").append(q.text(0)).append(" ").append(q.text(1)).append(";");
    definitions_.emplace_back(q.text(2));
  }
  return db_.execute(drops);
}

Result<void> SnapshotDatabase::insert(const Table& table, Row row) {
  auto found = inserts_.find(table.name);
  if (found == inserts_.end()) {
    auto made = db_.connection().prepare(insert_text(table));
    if (!made) return std::unexpected(std::move(made.error()));
    found = inserts_.emplace(table.name, *made).first;
  }
  auto& statement = *found->second;
  for (std::size_t i = 0; i < row.size(); ++i) bind(statement, static_cast<int>(i) + 1, row[i]);
  auto done = statement.step();
  statement.reset();
  if (!done) return std::unexpected(std::move(done.error()));
  constexpr std::int64_t kLookEvery = 64;
  return work_.gives_way() && ++rows_ % kLookEvery == 0 ? write_out() : Result<void>();
}

/// What SQLite has put into the file since the last time, once that is a piece: of a large record the kernel would
/// bring it to the disk all at once. A page that changes again goes there once more.
Result<void> SnapshotDatabase::write_out() {
  auto size = file_.size();
  if (!size) return std::unexpected(std::move(size.error()));
  if (*size - written_out_bytes_ < File::kChunkBytes) return {};
  return file_.write_out(std::exchange(written_out_bytes_, *size), *size);
}

Result<void> SnapshotDatabase::finish() {
  {
    const Breathing breathing(db_, work_);
    for (const auto& definition : definitions_)
      if (auto done = db_.execute(definition); !done) return done;
    if (auto done = db_.execute("PRAGMA user_version = " + std::to_string(sqlite::schema_version()) +
                                "; PRAGMA application_id = " + std::to_string(sqlite::kApplicationId) + "; COMMIT");
        !done)
      return done;
  }
  inserts_.clear();
  db_ = sql::Database();
  return {};
}

}  // namespace detection::store::backup
