#include "store/sqlite/sqlite_connection.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace detection::store::sqlite {
namespace {

constexpr int kOperationsPerDeadlineCheck = 4000;

/// `system`: errno as the call left it; SQLite itself does not keep it where a COMMIT fails.
Error error_of(sqlite3* db, int code, int system = 0) {
  const int extended =
      db != nullptr && (sqlite3_extended_errcode(db) & 0xff) == (code & 0xff) ? sqlite3_extended_errcode(db) : code;
  if (system == 0 && db != nullptr) system = sqlite3_system_errno(db);
  const int primary = code & 0xff;
  const bool no_room =
      primary == SQLITE_FULL || (primary == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT || system == EFBIG));
  if (no_room) return {ErrorCode::kCapacityExceeded, "no room is left on the disk of the store"};
  std::string text = sqlite3_errstr(extended);
  switch (primary) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: return {ErrorCode::kInternal, "the store refused a record: " + text};
    case SQLITE_INTERRUPT:
      return {ErrorCode::kStoreUnavailable, "the store took too long to answer; narrow the request"};
    case SQLITE_CORRUPT: return {ErrorCode::kStoreUnavailable, "the database is damaged; restore it from a backup"};
    case SQLITE_NOTADB:
      return {ErrorCode::kStoreUnavailable, "the file is not a database of SQLite, or its beginning is damaged"};
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      if (system != 0) text += " (" + std::generic_category().message(system) + ")";
      break;
    default: break;
  }
  return {ErrorCode::kStoreUnavailable, "the store: " + text};
}

}  // namespace

SqliteStatement::~SqliteStatement() {
  sqlite3_finalize(statement_);
}

void SqliteStatement::bind(int index, std::int64_t value) {
  note(sqlite3_bind_int64(statement_, index, value));
}

void SqliteStatement::bind(int index, double value) {
  note(sqlite3_bind_double(statement_, index, value));
}

void SqliteStatement::bind(int index, std::string_view text) {
  // A null pointer would be bound as NULL, not as an empty text.
  const char* data = text.data() == nullptr ? "" : text.data();
  note(sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void SqliteStatement::bind(int index, std::span<const std::uint8_t> bytes) {
  // The same: a blob of no bytes is one all the same.
  const void* data = bytes.data() == nullptr ? "" : static_cast<const void*>(bytes.data());
  note(sqlite3_bind_blob64(statement_, index, data, bytes.size(), SQLITE_STATIC));
}

void SqliteStatement::bind_null(int index) {
  note(sqlite3_bind_null(statement_, index));
}

Result<bool> SqliteStatement::step() {
  if (failure_ != 0) return std::unexpected(error_of(nullptr, failure_));
  errno = 0;
  const int code = sqlite3_step(statement_);
  const int system = errno;
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return std::unexpected(error_of(db_, code, system));
}

void SqliteStatement::reset() noexcept {
  failure_ = 0;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

std::int64_t SqliteStatement::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}
double SqliteStatement::real(int column) const noexcept {
  return sqlite3_column_double(statement_, column);
}
std::string_view SqliteStatement::text(int column) const noexcept {
  const auto* data = sqlite3_column_text(statement_, column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
std::span<const std::uint8_t> SqliteStatement::bytes(int column) const noexcept {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
bool SqliteStatement::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

SqliteConnection::~SqliteConnection() {
  statements_.clear();
  sqlite3_close(db_);
}

Result<std::unique_ptr<SqliteStatement>> SqliteConnection::make(std::string_view sql, unsigned flags) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), flags, &statement, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error_of(nullptr, code));
  return std::make_unique<SqliteStatement>(db_, statement);
}

Result<sql::Statement*> SqliteConnection::prepare(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    auto made = make(sql, SQLITE_PREPARE_PERSISTENT);
    if (!made) return std::unexpected(std::move(made.error()));
    found = statements_.emplace(sql, std::move(*made)).first;
  }
  return found->second.get();
}

Result<std::unique_ptr<sql::Statement>> SqliteConnection::prepare_once(std::string_view sql) {
  return make(sql, 0);
}

Result<void> SqliteConnection::execute(std::string_view sql) {
  const int code = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error_of(db_, code));
  return {};
}

Result<void> SqliteConnection::run(std::string_view sql) {
  return sql::Query(prepare(sql)).run();
}

Result<void> SqliteConnection::begin(TransactionKind kind) {
  return run(kind == TransactionKind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN");
}

bool SqliteConnection::in_transaction() const noexcept {
  return sqlite3_get_autocommit(db_) == 0;
}

std::int64_t SqliteConnection::changes() const noexcept {
  return sqlite3_changes64(db_);
}

int SqliteConnection::check_deadline(void* deadline) noexcept {
  return std::chrono::steady_clock::now() >= *static_cast<const std::chrono::steady_clock::time_point*>(deadline);
}

void SqliteConnection::set_deadline(Deadline deadline) {
  if (!deadline) {
    sqlite3_progress_handler(db_, 0, nullptr, nullptr);
    return;
  }
  deadline_ = *deadline;
  sqlite3_progress_handler(db_, kOperationsPerDeadlineCheck, &SqliteConnection::check_deadline, &deadline_);
}

Result<Database> open_database(const std::filesystem::path& file, Access access) {
  const int mode = access == Access::kReadOnly ? SQLITE_OPEN_READONLY
                   : access == Access::kQuery  ? SQLITE_OPEN_READWRITE
                                               : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &db, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, nullptr);
  auto connection = std::make_unique<SqliteConnection>(db);  // closes it also where it could not be opened
  if (code != SQLITE_OK) return std::unexpected(error_of(db, code));
  sqlite3_extended_result_codes(db, 1);
  return Database(std::move(connection));
}

Result<void> copy_database(const Database& from, const std::filesystem::path& to) {
  auto db = open_database(to, Access::kCreate);
  if (!db) return std::unexpected(std::move(db.error()));
  constexpr std::string_view kSettings =
      "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE";
  if (auto done = db->execute(kSettings); !done) return done;
  auto* copy = sqlite3_backup_init(handle(*db), "main", handle(from), "main");
  if (copy == nullptr) return std::unexpected(error_of(handle(*db), sqlite3_errcode(handle(*db))));
  constexpr int kAllPages = -1;
  const int code = sqlite3_backup_step(copy, kAllPages);
  sqlite3_backup_finish(copy);
  if (code != SQLITE_DONE) return std::unexpected(error_of(handle(*db), code));
  // It came with the mark of a database that has a log.
  return db->execute("PRAGMA journal_mode = DELETE");
}

}  // namespace detection::store::sqlite
