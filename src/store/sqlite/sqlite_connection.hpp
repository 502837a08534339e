#pragma once
// The SQLite driver of sql/connection.hpp. Errors carry SQLite's general text, without names of tables.

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "store/sql/connection.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace detection::store::sqlite {

using sql::Database;
using sql::Transaction;
using sql::TransactionKind;

enum class Access : std::uint8_t {
  kCreate,    ///< read and write, made if missing
  kQuery,     ///< a connection of a process that also writes; itself refuses to write
  kReadOnly,  ///< beside another process that writes
};

class SqliteStatement final : public sql::Statement {
 public:
  SqliteStatement(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
  ~SqliteStatement() override;
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  void bind(int index, std::int64_t value) override;
  void bind(int index, double value) override;
  void bind(int index, std::string_view text) override;
  void bind(int index, std::span<const std::uint8_t> bytes) override;
  void bind_null(int index) override;
  [[nodiscard]] Result<bool> step() override;
  void reset() noexcept override;

  [[nodiscard]] std::int64_t integer(int column) const noexcept override;
  [[nodiscard]] double real(int column) const noexcept override;
  [[nodiscard]] std::string_view text(int column) const noexcept override;
  [[nodiscard]] std::span<const std::uint8_t> bytes(int column) const noexcept override;
  [[nodiscard]] bool is_null(int column) const noexcept override;

 private:
  void note(int code) noexcept {
    if (failure_ == 0) failure_ = code;
  }
  sqlite3* db_;
  sqlite3_stmt* statement_;
  int failure_ = 0;  ///< of a bind
};

class SqliteConnection final : public sql::Connection {
 public:
  explicit SqliteConnection(sqlite3* db) : db_(db) {}
  ~SqliteConnection() override;
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  [[nodiscard]] sql::Dialect dialect() const noexcept override { return sql::Dialect::kSqlite; }
  [[nodiscard]] Result<sql::Statement*> prepare(std::string_view sql) override;
  [[nodiscard]] Result<std::unique_ptr<sql::Statement>> prepare_once(std::string_view sql) override;
  [[nodiscard]] Result<void> execute(std::string_view sql) override;
  [[nodiscard]] Result<void> begin(TransactionKind kind) override;
  [[nodiscard]] Result<void> commit() override { return run("COMMIT"); }
  void rollback() noexcept override { [[maybe_unused]] const auto done = run("ROLLBACK"); }
  [[nodiscard]] bool in_transaction() const noexcept override;
  [[nodiscard]] std::int64_t changes() const noexcept override;
  void set_deadline(Deadline deadline) override;

  [[nodiscard]] sqlite3* handle() const noexcept { return db_; }

 private:
  [[nodiscard]] Result<std::unique_ptr<SqliteStatement>> make(std::string_view sql, unsigned flags);
  [[nodiscard]] Result<void> run(std::string_view sql);
  static int check_deadline(void* deadline) noexcept;
  sqlite3* db_;
  std::map<std::string, std::unique_ptr<SqliteStatement>, std::less<>> statements_;
  std::chrono::steady_clock::time_point deadline_{};  ///< its address is known to SQLite
};

[[nodiscard]] Result<Database> open_database(const std::filesystem::path& file, Access access);

/// All pages of `from` at one moment, into the file `to`, which is empty or not there: a database without a log, not
/// yet on the disk. Who writes to `from` goes on meanwhile; only its log cannot be started anew.
[[nodiscard]] Result<void> copy_database(const Database& from, const std::filesystem::path& to);

/// SQLite's own handle of a connection of this driver; of another's the program ends at once.
[[nodiscard]] inline sqlite3* handle(const Database& db) noexcept {
  return dynamic_cast<const SqliteConnection&>(db.connection()).handle();
}

}  // namespace detection::store::sqlite
