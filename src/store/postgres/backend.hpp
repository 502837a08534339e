#pragma once
// The writer's side of PostgreSQL: one connection that writes, the chain it holds, and a log that others write too.

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "store/postgres/postgres_connection.hpp"
#include "store/sql/backend.hpp"

namespace detection::store::postgres {

/// Takes an audit chain that no other connection holds, for as long as `db` lives; makes one where all are held. Its
/// name. Within no transaction.
[[nodiscard]] Result<std::string> take_chain(sql::Database& db);

class PostgresBackend final : public sql::Backend {
 public:
  /// Shown each new connection before anything is written by it; fails when that one is of no use.
  using ConnectedListener = std::function<Result<void>(sql::Database&)>;
  PostgresBackend(ConnectOptions options, std::chrono::milliseconds commit_time, ConnectedListener connected);
  ~PostgresBackend() override;
  PostgresBackend(const PostgresBackend&) = delete;
  PostgresBackend& operator=(const PostgresBackend&) = delete;

  [[nodiscard]] Result<Connected> reconnect() override;
  [[nodiscard]] sql::Connection::Deadline deadline() const override {
    return std::chrono::steady_clock::now() + commit_time_;
  }
  [[nodiscard]] Result<void> begin(sql::Ledger& ledger) override;
  [[nodiscard]] Result<void> finish(sql::Ledger& ledger) override;
  [[nodiscard]] Result<std::vector<CommitResult>> accept(sql::Ledger& ledger, std::span<const Acceptance* const> items,
                                                         UtcMicros now) override;
  [[nodiscard]] Result<void> probe(sql::Database& db) override;
  [[nodiscard]] std::chrono::milliseconds probe_every() const override { return std::chrono::milliseconds(250); }

 private:
  class Rows;
  [[nodiscard]] Result<void> find_known(PostgresConnection& db, std::span<const Acceptance* const> items);

  const ConnectOptions options_;
  const std::chrono::milliseconds commit_time_;
  const ConnectedListener connected_;
  ArrayBuffer ids_{Element::kBytea};
  std::vector<Uuid> known_;     ///< of the items of a commit, those that are stored already; sorted
  std::unique_ptr<Rows> rows_;  ///< of a commit; kept for its memory
};

}  // namespace detection::store::postgres
