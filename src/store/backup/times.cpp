#include "store/backup/times.hpp"

#include <string_view>
#include <thread>
#include <utility>

#include "store/sqlite/beside.hpp"
#include "store/sqlite/limits.hpp"

namespace detection::store::backup {
namespace {

// backup_result.kind
constexpr std::string_view kMade = "made", kVerified = "verified";

/// A busy serving process leaves only short gaps between its commits, which SQLite's own growing waits would miss.
Result<sql::Transaction> begin_in_turn(sql::Database& db) {
  const auto until = std::chrono::steady_clock::now() + sqlite::limits::kTurnWait;
  while (true) {
    auto begun = sql::Transaction::begin(db, sql::TransactionKind::kWrite);
    if (begun || db.is_postgres() || std::chrono::steady_clock::now() > until) return begun;
    std::this_thread::sleep_for(sqlite::limits::kTurnPoll);
  }
}

Result<sql::Database> open_to_write(const Place& place) {
  if (place.is_postgres()) return open_to_replace(place);
  auto db = sqlite::connect_beside(place.file());
  if (!db) return db;
  if (auto done = db->execute("PRAGMA busy_timeout = 0"); !done) return std::unexpected(std::move(done.error()));
  return db;
}

}  // namespace

Result<Times> recorded_times(const Place& place) {
  auto db = open_to_read(place);
  if (!db) return std::unexpected(std::move(db.error()));
  Times times;
  auto q = db->query("SELECT kind, at FROM backup_result");
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return times;
    if (q.text(0) == kMade) times.made = UtcMicros{q.integer(1)};
    if (q.text(0) == kVerified) times.verified = UtcMicros{q.integer(1)};
  }
}

Result<void> record_times(const Place& place, const Times& times) {
  auto db = open_to_write(place);
  if (!db) return std::unexpected(std::move(db.error()));
  auto transaction = begin_in_turn(*db);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  for (const auto& [kind, at] : {std::pair{kMade, times.made}, std::pair{kVerified, times.verified}}) {
    if (!at) continue;
    auto done = db->query(
                      "INSERT INTO backup_result (kind, at) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET at = "
                      "excluded.at")
                    .bind(kind)
                    .bind(at->count)
                    .run();
    if (!done) return done;
  }
  return transaction->commit();
}

}  // namespace detection::store::backup
