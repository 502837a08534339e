#pragma once
// sql::Connection over libpq. What is peculiar to it:
//
// - A statement's whole result is fetched by its first step(): ask for bounded results.
// - A statement that fails inside a transaction ends all of it: nothing but rollback() goes on.
// - Every wait has an end (statement_time, set_deadline); at the end the connection is closed. A closed connection
// stays
//   closed: broken() says so, every further statement fails at once, and the owner connects again.
// - A parameter's type is that of what is bound: bigint, double precision, text, bytea; of NULL what the server infers.
//   There is no boolean: columns of truth values are integers. A text with a NUL is refused before it goes out.
// - ?, ?N and $N are parameters (placeholders.hpp). Statements are prepared at the server once for each combination of
//   types, and kept; a pooler between must keep sessions.
//
// One thread at a time.

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/postgres/binary_format.hpp"
#include "store/postgres/failures.hpp"
#include "store/postgres/link.hpp"
#include "store/postgres/postgres_statement.hpp"
#include "store/sql/connection.hpp"

namespace detection::store::postgres {

struct ConnectOptions {
  std::string url;  ///< as libpq takes it
  /// A folder with files `username` and `password`, each optional, read at each connect, space around them removed:
  /// they stand over what the URL says. Empty: none.
  std::filesystem::path credentials{};
  std::string application_name = "detection-api";
  std::chrono::milliseconds connect_time{2'000};         ///< all of connecting
  std::chrono::milliseconds statement_time{5'000};       ///< each round trip
  std::chrono::milliseconds idle_in_transaction{2'000};  ///< the server ends the connection after that
  bool read_only = false;  ///< refuses to write; may be connected to a server that only reads
};

class PostgresConnection final : public sql::Connection {
 public:
  /// kConfiguration: the URL is none, or the server is older than PostgreSQL 14. kStoreUnavailable: all else; `why`
  /// says what kind. A server that only reads is an error unless options.read_only.
  [[nodiscard]] static Result<std::unique_ptr<PostgresConnection>> connect(const ConnectOptions& options,
                                                                           Trouble* why = nullptr);

  [[nodiscard]] sql::Dialect dialect() const noexcept override { return sql::Dialect::kPostgres; }
  [[nodiscard]] Result<sql::Statement*> prepare(std::string_view sql) override { return statement(sql); }
  [[nodiscard]] Result<std::unique_ptr<sql::Statement>> prepare_once(std::string_view sql) override;
  [[nodiscard]] Result<void> execute(std::string_view sql) override;
  /// kWrite on a database whose default is read-only (default_transaction_read_only) gives one that only reads.
  [[nodiscard]] Result<void> begin(sql::TransactionKind kind) override;
  /// A failure that is an answer means: not committed. Without an answer see commit_in_doubt().
  [[nodiscard]] Result<void> commit() override;
  /// When the server does not do it at once, the connection is closed, which does it too.
  void rollback() noexcept override;
  [[nodiscard]] bool in_transaction() const noexcept override;
  [[nodiscard]] std::int64_t changes() const noexcept override { return changes_; }
  void set_deadline(Deadline deadline) override { deadline_ = deadline; }

  // Beside the interface, for those who know that it is PostgreSQL.

  /// As prepare(), with arrays to bind.
  [[nodiscard]] Result<PostgresStatement*> statement(std::string_view sql);
  /// BEGIN and a bound statement in one round trip. Its first step() is done: is there a row? After a failure no
  /// transaction is open.
  [[nodiscard]] Result<bool> begin_with(sql::TransactionKind kind, PostgresStatement& first);
  /// Bound statements in one round trip, in order; none after the first that fails is done. Each one's step() then
  /// starts at its first row. Outside a transaction they are one. A statement may stand there only once.
  [[nodiscard]] Result<void> run_together(std::span<PostgresStatement* const> statements);
  /// The same with COMMIT at the end; its failures are as those of commit(). After the failure of a statement nothing
  /// is committed, and rollback() is due.
  [[nodiscard]] Result<void> commit_with(std::span<PostgresStatement* const> statements);
  /// `statement`: COPY t (columns) FROM STDIN (FORMAT binary); `rows`: what CopyBuffer::finish() gave.
  [[nodiscard]] Result<void> copy_in(std::string_view statement, std::span<const char> rows);

  /// It is closed, or the server cannot be written to any more (it has become a standby): connect again.
  [[nodiscard]] bool broken() const noexcept override { return broken_ || !link_.is_open(); }
  /// The last commit was sent and its answer never came: it may stand, or not, or be still under way.
  [[nodiscard]] bool commit_in_doubt() const noexcept { return commit_in_doubt_; }
  /// Of the last failure; `sqlstate` is empty when it was not the server's.
  [[nodiscard]] Trouble trouble() const noexcept { return trouble_; }
  [[nodiscard]] std::string_view sqlstate() const noexcept { return sqlstate_.data(); }

 private:
  friend class PostgresStatement;
  PostgresConnection(Link link, ConnectOptions options) : link_(std::move(link)), options_(std::move(options)) {}
  /// One round trip: a text, statements, a text; the texts may be empty.
  struct Trip {
    std::string_view before;
    std::span<PostgresStatement* const> statements;
    std::string_view after;
  };
  [[nodiscard]] Result<void> travel(const Trip& trip);
  [[nodiscard]] bool queue(const Trip& trip);
  [[nodiscard]] bool queue(PostgresStatement& statement);
  [[nodiscard]] Outcome<void> collect(const Trip& trip, const Limit& limit);
  [[nodiscard]] Outcome<ResultPtr> collect_one(const Limit& limit);
  [[nodiscard]] Outcome<void> ready(const Limit& limit) const;
  [[nodiscard]] Limit limit() const { return Limit(options_.statement_time, deadline_); }
  [[nodiscard]] std::unexpected<Error> note(Failure failure);
  void count_changes(const pg_result* result);

  Link link_;
  ConnectOptions options_;
  Deadline deadline_;
  std::map<std::string, std::unique_ptr<PostgresStatement>, std::less<>> statements_;
  std::uint64_t prepared_ = 0;  ///< statements so far: their names at the server
  std::int64_t changes_ = 0;
  bool broken_ = false, commit_in_doubt_ = false, reading_ = false;
  Trouble trouble_ = Trouble::kNone;
  std::array<char, 6> sqlstate_ = {};
};

/// libpq's keywords for these options: the URL, over it the credentials, over it what this driver needs.
[[nodiscard]] Result<std::map<std::string, std::string>> connection_parameters(const ConnectOptions& options);

}  // namespace detection::store::postgres
