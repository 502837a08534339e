#include "store/sqlite/beside.hpp"

#include <sqlite3.h>

#include <thread>

#include "store/sqlite/directory_lock.hpp"
#include "store/sqlite/limits.hpp"
#include "store/sqlite/schema.hpp"

namespace detection::store::sqlite {
namespace {

// A busy serving process leaves only short gaps between its commits, which SQLite's own growing waits would miss.
int wait_for_turn(void* /*context*/, int tries) noexcept {
  if (tries >= limits::kTurnWait / limits::kTurnPoll) return 0;
  std::this_thread::sleep_for(limits::kTurnPoll);
  return 1;
}

/// 0: there is none yet, or nothing in it.
Result<std::int64_t> stored_version(const std::filesystem::path& file) {
  std::error_code failure;
  if (!std::filesystem::exists(file, failure)) return 0;
  auto db = open_database(file, Access::kQuery);
  if (!db) return std::unexpected(std::move(db.error()));
  sqlite3_busy_timeout(handle(*db), static_cast<int>(limits::kLockWait.count()));
  auto version = db->integer("PRAGMA user_version");
  if (!version) return std::unexpected(std::move(version.error()));
  return version->value_or(0);
}

Result<Database> try_connect(const std::filesystem::path& file) {
  auto version = stored_version(file);
  if (!version) return std::unexpected(std::move(version.error()));
  DirectoryLock lock;
  if (*version > 0 && *version < schema_version()) {
    auto taken = DirectoryLock::take(file.parent_path());
    if (!taken)
      return fail(taken.error().code, taken.error().detail +
                                          " and its schema is older than this program's; stop it, "
                                          "or use its own program");
    lock = std::move(*taken);
  }
  return connect(file, Access::kCreate);
}

}  // namespace

Beside::Beside(Database db, std::string chain, Clock clock, telemetry::Metrics* metrics)
    : db_(std::move(db)), ledger_(db_, std::move(chain)), clock_(clock), metrics_(metrics) {
  sqlite3_busy_handler(handle(db_), &wait_for_turn, nullptr);
  // Where nobody serves, nobody else keeps the log short.
  constexpr int kCheckpointFrames = 1000;
  sqlite3_wal_autocheckpoint(handle(db_), kCheckpointFrames);
}

Result<void> Beside::execute(const Writer::Work& work) {
  const std::lock_guard lock(mutex_);
  if (closed_) return fail(ErrorCode::kStoreUnavailable, "the store is closed");
  auto transaction = Transaction::begin(db_, TransactionKind::kWrite);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  if (auto done = ledger_.load_chain(); !done) return done;
  if (auto done = work(ledger_, clock_()); !done) return done;
  return transaction->commit();
}

void Beside::count_audit(std::string_view type, std::string_view severity) {
  if (metrics_ != nullptr) metrics_->counter(telemetry::kAuditEventsTotal, {type, severity}).increment();
}

void Beside::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

Result<Database> connect_beside(const std::filesystem::path& file) {
  // Two that make one file at the same moment may stand in each other's way.
  const auto until = std::chrono::steady_clock::now() + limits::kLockWait;
  while (true) {
    auto db = try_connect(file);
    if (db || db.error().code != ErrorCode::kStoreUnavailable || std::chrono::steady_clock::now() > until) return db;
    std::this_thread::sleep_for(limits::kTurnPoll);
  }
}

}  // namespace detection::store::sqlite
