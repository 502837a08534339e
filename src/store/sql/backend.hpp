#pragma once
// What an engine adds to the writer. All on the writer's thread.

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/sql/ledger.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

class Backend {
 public:
  virtual ~Backend() = default;

  /// In place of a connection that broke: a new one, and the chain that is written by it.
  struct Connected {
    Database db;
    std::string chain;
  };
  [[nodiscard]] virtual Result<Connected> reconnect() = 0;
  /// When a transaction that begins now must have ended; none: no limit.
  [[nodiscard]] virtual Connection::Deadline deadline() const { return std::nullopt; }

  /// Behind BEGIN: where things stand, if another process may have changed it.
  [[nodiscard]] virtual Result<void> begin(Ledger& ledger) = 0;
  /// Before COMMIT: where things stand now, for the other processes.
  [[nodiscard]] virtual Result<void> finish(Ledger& ledger) = 0;
  /// The items in order, one result for each.
  [[nodiscard]] virtual Result<std::vector<CommitResult>> accept(Ledger& ledger,
                                                                 std::span<const Acceptance* const> items,
                                                                 UtcMicros now) = 0;

  /// Between two commits.
  virtual void between(Database& /*db*/) {}
  /// Writes something, to learn whether that can be done again; within a transaction.
  [[nodiscard]] virtual Result<void> probe(Database& db) = 0;
  [[nodiscard]] virtual std::chrono::milliseconds probe_every() const = 0;
};

}  // namespace detection::store::sql
