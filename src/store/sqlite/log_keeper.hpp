#pragma once
// Keeps the write-ahead log short: a thread copies it into the database file every 250 ms without standing in anyone's
// way (PASSIVE), and the writer itself starts it anew when it has grown past its bound all the same (RESTART). PASSIVE
// alone lets it grow without end under a busy writer. After an unclean stop the thread first looks at the whole file.

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "store/sqlite/sqlite_connection.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::sqlite {

class LogKeeper {
 public:
  LogKeeper(Database db, telemetry::Metrics* metrics);
  ~LogKeeper() { stop(); }
  LogKeeper(const LogKeeper&) = delete;
  LogKeeper& operator=(const LogKeeper&) = delete;

  /// Counts the frames that this connection (the writer's) logs.
  void watch(Database& writer);
  void start(bool check_file);
  void stop();

  /// On the writer's thread, between two commits.
  void bound(Database& writer);

  [[nodiscard]] int frames() const noexcept { return frames_.load(std::memory_order_relaxed); }
  /// What the look at the file found; none: nothing is known to be wrong.
  [[nodiscard]] std::optional<std::string> damage() const;

 private:
  void run(bool check_file);
  void check();
  void checkpoint();
  [[nodiscard]] bool copy(Database& db, int mode);
  static int logged(void* self, sqlite3* db, const char* name, int frames) noexcept;
  static int give_way(void* self) noexcept;

  Database db_;
  telemetry::Gauge log_bytes_;
  telemetry::Histogram duration_;
  std::atomic<int> frames_ = 0;
  std::atomic<std::uint64_t> commits_ = 0;
  std::uint64_t copied_ = 0;  ///< commits_ before the last complete copy
  int restart_at_;            ///< writer's thread only
  int refused_ = 0;           ///< tries in a row that a reader stood in the way of; writer's thread only
  std::mutex turn_;           ///< one checkpoint at a time; SQLite's own lock would be waited for by sleeping

  std::chrono::steady_clock::time_point check_until_{};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_ = false;
  std::optional<std::string> damage_;
  std::thread thread_;
};

}  // namespace detection::store::sqlite
