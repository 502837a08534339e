#pragma once
// How much each sink's queue may still take: read once for a commit from the counts that stand in the sinks' rows, then
// a comparison for each job.

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/sql/ledger.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

/// How many wait for a sink, of the log and of held ones: from its row, without a look at the queue itself.
#define SINK_QUEUED_COLUMNS "start, start_exceptional, delivered, omitted, dead_in_log, waiting_late"
struct QueuedCount {
  std::int64_t of_log = 0, late = 0;
  [[nodiscard]] std::int64_t all() const { return of_log + late; }
};
/// `first`: the column where SINK_QUEUED_COLUMNS begin.
[[nodiscard]] QueuedCount queued_count(const Query& q, int first, std::int64_t head, std::int64_t exceptional);

/// See SinkQueue::bytes. Of one detection:
[[nodiscard]] double record_bytes(const Acceptance& item) noexcept;
/// The mean of the newest ones that are stored; 0 where there are none.
[[nodiscard]] Result<double> mean_record_bytes(Database& db);

class Capacity {
 public:
  /// Any thread.
  void set(std::string_view sink, const QueueLimits& limits);
  [[nodiscard]] std::map<std::string, QueueLimits, std::less<>> limits() const;

  // On the writer's thread.

  /// At the beginning of a transaction.
  [[nodiscard]] Result<void> begin(Ledger& ledger);
  /// Why a job may not be stored; none: it may, and what it adds is counted.
  [[nodiscard]] Result<std::optional<Error>> admit(Database& db, const CommitJob& job);

 private:
  struct Room {
    std::string sink;
    QueueLimits limits;
    std::int64_t queued = 0;
    double bytes = 0;
  };
  [[nodiscard]] const Room* full(std::int64_t items, double bytes) const;

  mutable std::mutex mutex_;
  std::map<std::string, QueueLimits, std::less<>> limits_;
  std::vector<Room> rooms_;  ///< of those that have a limit
};

}  // namespace detection::store::sql
