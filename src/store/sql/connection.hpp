#pragma once
// What the record's logic asks of a database: connections and prepared statements, failures as values. Two drivers
// implement it: sqlite/sqlite_connection.cpp and postgres/postgres_connection.cpp. The text of a statement is SQL that
// both understand, with ? or ?N for parameters; where they differ, both are given (Texts).
//
//   auto found = db.query("SELECT seq FROM detection WHERE id = ?").bind(id.bytes);
//   auto row = found.step();                     // Result<bool>: is there a row?
//   if (row && *row) use(found.integer(0));
//
// A connection belongs to one thread at a time. Errors are classed as the room's callers need them: kCapacityExceeded
// (no room on the disk), kInternal (this statement was refused: a constraint), kStoreUnavailable (all else: away, too
// slow, read-only, refused); their text never has names of tables, credentials or values in it.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "detection/error.hpp"

namespace detection::store::sql {

enum class Dialect : std::uint8_t { kSqlite, kPostgres };

/// A statement that the dialects word differently.
struct Texts {
  std::string_view sqlite, postgres;
};

/// A prepared statement of a connection, bound and stepped through.
class Statement {
 public:
  virtual ~Statement() = default;
  /// The parameter `index`, from 1. What is bound must outlive the execution. A failure shows at step().
  virtual void bind(int index, std::int64_t value) = 0;
  virtual void bind(int index, double value) = 0;
  virtual void bind(int index, std::string_view text) = 0;
  virtual void bind(int index, std::span<const std::uint8_t> bytes) = 0;
  virtual void bind_null(int index) = 0;
  [[nodiscard]] virtual Result<bool> step() = 0;  ///< true: a row is there
  virtual void reset() noexcept = 0;              ///< ready for the next execution, nothing bound

  // Columns of the current row, from 0. Views are valid until the next step. A truth value reads as 0 or 1; NULL as 0
  // or empty.
  [[nodiscard]] virtual std::int64_t integer(int column) const noexcept = 0;
  [[nodiscard]] virtual double real(int column) const noexcept = 0;
  [[nodiscard]] virtual std::string_view text(int column) const noexcept = 0;
  [[nodiscard]] virtual std::span<const std::uint8_t> bytes(int column) const noexcept = 0;
  [[nodiscard]] virtual bool is_null(int column) const noexcept = 0;
};

enum class TransactionKind : std::uint8_t {
  kRead,   ///< one snapshot for all statements
  kWrite,  ///< SQLite: takes the write lock at once; PostgreSQL: read committed
};

class Connection {
 public:
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;

  virtual ~Connection() = default;
  [[nodiscard]] virtual Dialect dialect() const noexcept = 0;
  /// Kept and given again for the same text; one execution at a time for each text.
  [[nodiscard]] virtual Result<Statement*> prepare(std::string_view sql) = 0;
  /// For a text that is composed: not kept.
  [[nodiscard]] virtual Result<std::unique_ptr<Statement>> prepare_once(std::string_view sql) = 0;
  [[nodiscard]] virtual Result<void> execute(std::string_view sql) = 0;  ///< may hold several statements
  [[nodiscard]] virtual Result<void> begin(TransactionKind kind) = 0;
  [[nodiscard]] virtual Result<void> commit() = 0;
  virtual void rollback() noexcept = 0;
  [[nodiscard]] virtual bool in_transaction() const noexcept = 0;
  [[nodiscard]] virtual std::int64_t changes() const noexcept = 0;  ///< rows that the last statement changed
  /// Statements of this connection fail with kStoreUnavailable after this moment; none: the driver's own limit.
  virtual void set_deadline(Deadline deadline) = 0;
  /// It is of no more use: every statement fails from now on.
  [[nodiscard]] virtual bool broken() const noexcept { return false; }
};

/// One execution of a statement; when it ends, the statement can be used again. A statement that could not be prepared
/// says so at its first step.
class Query {
 public:
  explicit Query(Result<Statement*> kept);
  explicit Query(Result<std::unique_ptr<Statement>> own);
  ~Query() {
    if (statement_ != nullptr && !own_) statement_->reset();
  }
  Query(Query&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)),
        own_(std::move(other.own_)),
        failure_(std::move(other.failure_)),
        next_(other.next_) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  Query& operator=(Query&&) = delete;

  /// The next parameter, from the first. A NaN is bound as NULL by SQLite.
  Query& bind(std::int64_t value) {
    return next([&](int i) { statement_->bind(i, value); });
  }
  Query& bind(double value) {
    return next([&](int i) { statement_->bind(i, value); });
  }
  Query& bind(std::string_view text) {
    return next([&](int i) { statement_->bind(i, text); });
  }
  Query& bind(std::span<const std::uint8_t> bytes) {
    return next([&](int i) { statement_->bind(i, bytes); });
  }
  Query& bind_null() {
    return next([&](int i) { statement_->bind_null(i); });
  }
  template <class T>
  Query& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind_null();
  }

  [[nodiscard]] Result<bool> step() {
    if (failure_) return std::unexpected(*failure_);
    return statement_->step();
  }
  [[nodiscard]] Result<void> run();  ///< to its end, rows unread

  // As Statement's.
  [[nodiscard]] std::int64_t integer(int column) const noexcept { return statement_->integer(column); }
  [[nodiscard]] double real(int column) const noexcept { return statement_->real(column); }
  [[nodiscard]] std::string_view text(int column) const noexcept { return statement_->text(column); }
  [[nodiscard]] std::span<const std::uint8_t> bytes(int column) const noexcept { return statement_->bytes(column); }
  [[nodiscard]] bool is_null(int column) const noexcept { return statement_->is_null(column); }

 private:
  template <class Bind>
  Query& next(Bind bind_at) {
    if (statement_ != nullptr) bind_at(next_++);
    return *this;
  }
  Statement* statement_ = nullptr;
  std::unique_ptr<Statement> own_;
  std::optional<Error> failure_;
  int next_ = 1;
};

/// A connection, owned.
class Database {
 public:
  Database() = default;
  explicit Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

  [[nodiscard]] Query query(std::string_view sql) { return Query(connection_->prepare(sql)); }
  [[nodiscard]] Query query_of(const Texts& texts) { return query(pick(texts)); }
  [[nodiscard]] Query query_once(std::string_view sql) { return Query(connection_->prepare_once(sql)); }
  [[nodiscard]] Result<void> execute(std::string_view sql) { return connection_->execute(sql); }
  /// The single value of the first row; none without a row or for NULL.
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view sql);
  [[nodiscard]] Result<std::optional<std::string>> text(std::string_view sql);

  [[nodiscard]] Dialect dialect() const noexcept { return connection_->dialect(); }
  [[nodiscard]] bool is_postgres() const noexcept { return dialect() == Dialect::kPostgres; }
  [[nodiscard]] std::string_view pick(const Texts& texts) const noexcept {
    return is_postgres() ? texts.postgres : texts.sqlite;
  }
  void set_deadline(Connection::Deadline deadline) { connection_->set_deadline(deadline); }
  [[nodiscard]] std::int64_t changes() const noexcept { return connection_->changes(); }
  [[nodiscard]] bool in_transaction() const noexcept { return connection_->in_transaction(); }
  [[nodiscard]] bool broken() const noexcept { return connection_ == nullptr || connection_->broken(); }
  [[nodiscard]] Connection& connection() const noexcept { return *connection_; }

 private:
  std::unique_ptr<Connection> connection_;
};

/// BEGIN ... COMMIT; rolls back unless committed.
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> begin(Database& db, TransactionKind kind);
  ~Transaction() {
    // Some failures (full disk) have rolled back already.
    if (connection_ != nullptr && connection_->in_transaction()) connection_->rollback();
  }
  Transaction(Transaction&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  Transaction& operator=(Transaction&&) = delete;

  [[nodiscard]] Result<void> commit();

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
};

}  // namespace detection::store::sql
