#include "store/sqlite/database.hpp"

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

Query::Query(Query&& other) noexcept
    : db_(other.db_),
      statement_(std::exchange(other.statement_, nullptr)),
      failure_(other.failure_),
      once_(other.once_),
      next_(other.next_) {}

Query::~Query() {
  if (statement_ == nullptr) return;
  if (once_) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Query& Query::bind(std::int64_t value) {
  if (statement_ != nullptr) note(sqlite3_bind_int64(statement_, next_++, value));
  return *this;
}

Query& Query::bind(double value) {
  if (statement_ != nullptr) note(sqlite3_bind_double(statement_, next_++, value));
  return *this;
}

Query& Query::bind(std::string_view text) {
  // A null pointer would be bound as NULL, not as an empty text.
  const char* data = text.data() == nullptr ? "" : text.data();
  if (statement_ != nullptr)
    note(sqlite3_bind_text64(statement_, next_++, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Query& Query::bind(std::span<const std::uint8_t> bytes) {
  if (statement_ != nullptr) note(sqlite3_bind_blob64(statement_, next_++, bytes.data(), bytes.size(), SQLITE_STATIC));
  return *this;
}

Query& Query::bind_null() {
  if (statement_ != nullptr) note(sqlite3_bind_null(statement_, next_++));
  return *this;
}

Result<bool> Query::step() {
  if (failure_ != 0) return std::unexpected(error_of(nullptr, failure_));
  errno = 0;
  const int code = sqlite3_step(statement_);
  const int system = errno;
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return std::unexpected(error_of(db_, code, system));
}

Result<void> Query::run() {
  while (true) {
    auto row = step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
  }
}

std::int64_t Query::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}
double Query::real(int column) const noexcept {
  return sqlite3_column_double(statement_, column);
}
std::string_view Query::text(int column) const noexcept {
  const auto* data = sqlite3_column_text(statement_, column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
std::span<const std::uint8_t> Query::bytes(int column) const noexcept {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
bool Query::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::filesystem::path& file, Access access) {
  Database db;
  const int mode = access == Access::kReadOnly ? SQLITE_OPEN_READONLY
                   : access == Access::kQuery  ? SQLITE_OPEN_READWRITE
                                               : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code =
      sqlite3_open_v2(file.c_str(), &db.db_, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error_of(db.db_, code));
  sqlite3_extended_result_codes(db.db_, 1);
  return db;
}

Database::~Database() {
  close();
}

Database::Database(Database&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)),
      statements_(std::move(other.statements_)),
      deadline_(std::move(other.deadline_)) {}

Database& Database::operator=(Database&& other) noexcept {
  if (this != &other) {
    close();
    db_ = std::exchange(other.db_, nullptr);
    statements_ = std::move(other.statements_);
    deadline_ = std::move(other.deadline_);
  }
  return *this;
}

void Database::close() noexcept {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
  sqlite3_close(db_);
  db_ = nullptr;
}

int Database::prepare(std::string_view sql, unsigned flags, sqlite3_stmt*& statement) {
  return sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), flags, &statement, nullptr);
}

Query Database::query(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* statement = nullptr;
    if (const int code = prepare(sql, SQLITE_PREPARE_PERSISTENT, statement); code != SQLITE_OK)
      return {db_, nullptr, code, false};
    found = statements_.emplace(sql, statement).first;
  }
  return {db_, found->second, 0, false};
}

Query Database::query_once(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = prepare(sql, 0, statement);
  return {db_, statement, code, true};
}

Result<void> Database::execute(std::string_view sql) {
  const int code = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error_of(db_, code));
  return {};
}

Result<std::optional<std::int64_t>> Database::integer(std::string_view sql) {
  auto q = query(sql);
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row || q.is_null(0)) return std::nullopt;
  return q.integer(0);
}

Result<std::optional<std::string>> Database::text(std::string_view sql) {
  auto q = query(sql);
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row || q.is_null(0)) return std::nullopt;
  return std::string(q.text(0));
}

int Database::check_deadline(void* deadline) noexcept {
  return std::chrono::steady_clock::now() >= *static_cast<const std::chrono::steady_clock::time_point*>(deadline);
}

void Database::set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (!deadline) {
    sqlite3_progress_handler(db_, 0, nullptr, nullptr);
    return;
  }
  if (!deadline_) deadline_ = std::make_unique<std::chrono::steady_clock::time_point>();
  *deadline_ = *deadline;
  sqlite3_progress_handler(db_, kOperationsPerDeadlineCheck, &Database::check_deadline, deadline_.get());
}

int Database::changes() const noexcept {
  return sqlite3_changes(db_);
}
bool Database::in_transaction() const noexcept {
  return sqlite3_get_autocommit(db_) == 0;
}
Error Database::error(int code) const {
  return error_of(db_, code);
}

Result<Transaction> Transaction::begin(Database& db, bool immediate) {
  if (auto begun = db.query(immediate ? "BEGIN IMMEDIATE" : "BEGIN").run(); !begun)
    return std::unexpected(std::move(begun.error()));
  return Transaction(db);
}

Result<void> Transaction::commit() {
  auto done = db_->query("COMMIT").run();
  if (done) db_ = nullptr;
  return done;
}

Transaction::~Transaction() {
  // Some failures (full disk) have rolled back already.
  if (db_ == nullptr || !db_->in_transaction()) return;
  [[maybe_unused]] const auto done = db_->query("ROLLBACK").run();
}

}  // namespace detection::store::sqlite
