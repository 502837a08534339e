#include "store/backup/snapshot_database.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "store/sqlite/schema.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::backup {
namespace {

// Nobody else has the file, and one that is broken off is thrown away: no journal, no waiting for the disk.
constexpr std::string_view kSettings =
    "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; "
    "PRAGMA cache_size = -32768; PRAGMA secure_delete = 0;";

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

Result<SnapshotDatabase> SnapshotDatabase::create(const std::filesystem::path& file) {
  // Before SQLite makes it readable for everybody.
  const int made = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (made < 0)
    return fail(errno == ENOSPC || errno == EDQUOT ? ErrorCode::kCapacityExceeded : ErrorCode::kStoreUnavailable,
                "cannot make " + file.string() + ": " + std::generic_category().message(errno));
  ::close(made);
  auto db = sqlite::open_database(file, sqlite::Access::kCreate);
  if (!db) return std::unexpected(std::move(db.error()));
  SnapshotDatabase out(std::move(*db));
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
  return {};
}

Result<void> SnapshotDatabase::finish() {
  for (const auto& definition : definitions_)
    if (auto done = db_.execute(definition); !done) return done;
  if (auto done = db_.execute("PRAGMA user_version = " + std::to_string(sqlite::schema_version()) +
                              "; PRAGMA application_id = " + std::to_string(sqlite::kApplicationId) + "; COMMIT");
      !done)
    return done;
  inserts_.clear();
  db_ = sql::Database();
  return {};
}

}  // namespace detection::store::backup
