#include "store/sqlite/log_keeper.hpp"

#include <sqlite3.h>

#include "store/sqlite/limits.hpp"

namespace detection::store::sqlite {
namespace {

constexpr double kFrameBytes = 4096 + 24;

}  // namespace

LogKeeper::LogKeeper(Database db, telemetry::Metrics* metrics) : db_(std::move(db)), restart_at_(limits::kLogFrames) {
  if (metrics == nullptr) return;
  log_bytes_ = metrics->gauge(telemetry::kStoreLogBytes);
  duration_ = metrics->histogram(telemetry::kStoreCheckpointDurationSeconds);
}

int LogKeeper::logged(void* self, sqlite3* /*db*/, const char* /*name*/, int frames) noexcept {
  auto* keeper = static_cast<LogKeeper*>(self);
  keeper->frames_.store(frames, std::memory_order_relaxed);
  keeper->commits_.fetch_add(1, std::memory_order_relaxed);
  return SQLITE_OK;
}

void LogKeeper::watch(Database& writer) {
  sqlite3_wal_hook(handle(writer), &LogKeeper::logged, this);
}

void LogKeeper::start(bool check_file) {
  thread_ = std::thread([this, check_file] { run(check_file); });
}

void LogKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<std::string> LogKeeper::damage() const {
  const std::lock_guard lock(mutex_);
  return damage_;
}

void LogKeeper::run(bool check_file) {
  if (check_file) check();
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, limits::kCheckpointEvery, [this] { return stopping_.load(); })) {
    lock.unlock();
    checkpoint();
    lock.lock();
  }
}

int LogKeeper::give_way(void* self) noexcept {
  const auto* keeper = static_cast<const LogKeeper*>(self);
  return keeper->stopping_ || keeper->frames() > 2 * limits::kLogFrames ||
         std::chrono::steady_clock::now() > keeper->check_until_;
}

void LogKeeper::check() {
  constexpr int kOperations = 4000;
  check_until_ = std::chrono::steady_clock::now() + limits::kQuickCheckTime;
  sqlite3_progress_handler(handle(db_), kOperations, &LogKeeper::give_way, this);
  auto q = db_.query_once("PRAGMA quick_check(1)");
  auto row = q.step();
  std::optional<std::string> found;
  if (row && *row && q.text(0) != "ok")
    found = "the database is damaged; restore it from a backup";
  else if (!row && sqlite3_errcode(handle(db_)) == SQLITE_CORRUPT)
    found = row.error().detail;
  sqlite3_progress_handler(handle(db_), 0, nullptr, nullptr);
  const std::lock_guard lock(mutex_);
  damage_ = std::move(found);
}

bool LogKeeper::copy(Database& db, int mode) {
  const auto begun = std::chrono::steady_clock::now();
  int logged = 0, copied = 0;
  const int code = sqlite3_wal_checkpoint_v2(handle(db), "main", mode, &logged, &copied);
  duration_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  return code == SQLITE_OK && logged == copied;
}

void LogKeeper::checkpoint() {
  log_bytes_.set(frames() * kFrameBytes);
  const auto commits = commits_.load(std::memory_order_relaxed);
  if (commits == copied_) return;
  const std::lock_guard turn(turn_);
  if (copy(db_, SQLITE_CHECKPOINT_PASSIVE)) copied_ = commits;
}

void LogKeeper::bound(Database& writer) {
  if (frames() < restart_at_) {
    if (frames() < limits::kLogFrames) restart_at_ = limits::kLogFrames;
    return;
  }
  std::unique_lock turn(turn_, std::defer_lock);
  if (refused_ == 0) {
    turn.lock();
  } else if (!turn.try_lock()) {
    // The keeper is copying all that has gathered behind a long reader, which takes it seconds.
    restart_at_ = frames() + limits::kLogFramesAfterRefusal;
    return;
  }
  // A short reader is waited for. Behind a long one (a backup) each such wait would be one of every commit that is due:
  // then only one try in kRestartWaitEvery waits, the others are made in passing.
  const bool waits = refused_ % limits::kRestartWaitEvery == 0;
  sqlite3_busy_timeout(handle(writer), waits ? static_cast<int>(limits::kRestartWait.count()) : 0);
  const bool done = copy(writer, SQLITE_CHECKPOINT_RESTART);
  sqlite3_busy_timeout(handle(writer), static_cast<int>(limits::kLockWait.count()));
  refused_ = done ? 0 : refused_ + 1;
  // The log grows for as long as such a reader lives: not at each commit a try.
  restart_at_ = done ? limits::kLogFrames : frames() + limits::kLogFramesAfterRefusal;
}

}  // namespace detection::store::sqlite
