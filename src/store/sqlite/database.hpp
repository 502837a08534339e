#pragma once
// A thin layer over SQLite's C interface: connections and statements that end themselves, failures as values.
//
//   auto found = db.query("SELECT seq FROM detection WHERE id = ?").bind(id.bytes);
//   auto row = found.step();                     // Result<bool>: is there a row?
//   if (row && *row) use(found.integer(0));
//
// A connection belongs to one thread at a time. Errors are classed as the room's callers need them: kCapacityExceeded
// (no room on the disk), kInternal (this statement was refused: a constraint), kStoreUnavailable (all else); their
// text is SQLite's general one, without names of tables.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "detection/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace detection::store::sqlite {

/// One execution of a prepared statement; when it ends, the statement can be used again. What is bound must outlive
/// it. A statement that could not be prepared says so at its first step.
class Query {
 public:
  Query(sqlite3* db, sqlite3_stmt* statement, int failure, bool once)
      : db_(db), statement_(statement), failure_(failure), once_(once) {}
  ~Query();
  Query(Query&& other) noexcept;
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  Query& operator=(Query&&) = delete;

  /// The next parameter, from the first. A NaN is bound as NULL by SQLite.
  Query& bind(std::int64_t value);
  Query& bind(double value);
  Query& bind(std::string_view text);
  Query& bind(std::span<const std::uint8_t> bytes);
  Query& bind_null();
  template <class T>
  Query& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind_null();
  }

  [[nodiscard]] Result<bool> step();  ///< true: a row is there
  [[nodiscard]] Result<void> run();   ///< to its end, rows unread

  // Columns of the current row, from 0. Views are valid until the next step.
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] double real(int column) const noexcept;
  [[nodiscard]] std::string_view text(int column) const noexcept;
  [[nodiscard]] std::span<const std::uint8_t> bytes(int column) const noexcept;
  [[nodiscard]] bool is_null(int column) const noexcept;

 private:
  void note(int code) noexcept {
    if (failure_ == 0) failure_ = code;
  }
  sqlite3* db_;
  sqlite3_stmt* statement_;
  int failure_;
  bool once_;
  int next_ = 1;
};

enum class Access : std::uint8_t {
  kCreate,    ///< read and write, made if missing
  kQuery,     ///< a connection of a process that also writes; itself refuses to write
  kReadOnly,  ///< beside another process that writes
};

class Database {
 public:
  [[nodiscard]] static Result<Database> open(const std::filesystem::path& file, Access access);
  Database() = default;
  ~Database();
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;

  /// A prepared statement, kept for the next time. One execution at a time for each text.
  [[nodiscard]] Query query(std::string_view sql);
  /// The same for a text that is composed: not kept.
  [[nodiscard]] Query query_once(std::string_view sql);
  [[nodiscard]] Result<void> execute(std::string_view sql);  ///< may hold several statements
  /// The single value of the first row; none without a row or for NULL.
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view sql);
  [[nodiscard]] Result<std::optional<std::string>> text(std::string_view sql);

  /// Statements of this connection fail with kStoreUnavailable after this moment; none: no limit.
  void set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline);

  [[nodiscard]] int changes() const noexcept;  ///< of the last statement
  [[nodiscard]] bool in_transaction() const noexcept;
  [[nodiscard]] sqlite3* handle() const noexcept { return db_; }
  [[nodiscard]] Error error(int code) const;

 private:
  void close() noexcept;
  [[nodiscard]] int prepare(std::string_view sql, unsigned flags, sqlite3_stmt*& statement);
  static int check_deadline(void* deadline) noexcept;
  sqlite3* db_ = nullptr;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
  // Its address is known to SQLite, so it stays where it is when the connection moves.
  std::unique_ptr<std::chrono::steady_clock::time_point> deadline_;
};

/// BEGIN ... COMMIT; rolls back unless committed.
class Transaction {
 public:
  /// `immediate` takes the write lock at once; otherwise a snapshot for reading.
  [[nodiscard]] static Result<Transaction> begin(Database& db, bool immediate);
  ~Transaction();
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  Transaction& operator=(Transaction&&) = delete;

  [[nodiscard]] Result<void> commit();

 private:
  explicit Transaction(Database& db) : db_(&db) {}
  Database* db_;
};

}  // namespace detection::store::sqlite
