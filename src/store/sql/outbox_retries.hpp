#pragma once
// The table `retry`: what is due to a sink beside the log. Three ways lead into it: a release (deliver), a rejection of
// what TAK may have (take back), a dead letter that is tried again. A row stays until its event is known to be there.
// While one is in a live claim it is given to no other, so what becomes of it meanwhile (a rejection turns a delivery
// into a take-back, say) goes out after that claim has ended.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/sql/ledger.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

// --- rows of held detections, within a transaction of the writer

struct RetryRow {
  std::int64_t sink = 0, sequence = 0;
  bool take_back = false;
  bool at_tak = false;  ///< TAK may have it
};
/// Adds it, or makes the row that is there this one; what TAK may have had it still may have.
[[nodiscard]] Result<void> put_retry(Database& db, const RetryRow& row, UtcMicros now);
/// What was removed.
[[nodiscard]] Result<std::optional<RetryRow>> remove_retry(Database& db, std::int64_t sink, std::int64_t sequence);
/// Whether there was one.
[[nodiscard]] Result<bool> remove_dead_letter(Database& db, std::int64_t sink, std::int64_t sequence);
/// Whether a sink's filter had left the released one out; it counts so no more.
[[nodiscard]] Result<bool> remove_late_omission(Database& db, std::int64_t sink, std::int64_t sequence);
/// For the first sink of a store: all that was released before there was one.
[[nodiscard]] Result<void> put_released(Database& db, std::int64_t sink, UtcMicros now);

// --- claims

/// A row in a claim.
struct Retry {
  std::int64_t sequence = 0;
  Uuid id{};
  bool take_back = false;
  bool in_log = false;                  ///< of disposition queue; else it was held
  std::optional<OmitReason> omitted{};  ///< of one whose claim ends: it was left out
};
struct DueRetry {
  OutboxItem item;
  bool in_log = false;
  bool at_tak = false;

  [[nodiscard]] Retry row() const { return {item.sequence, item.located.id, item.take_back, in_log}; }
  /// It must not go out before allow_retries() has looked at it.
  [[nodiscard]] bool needs_leave() const {
    return !in_log && (item.take_back ? item.located.track_id.has_value() : !at_tak);
  }
};
struct SinkName {
  std::int64_t number = 0;
  std::string_view name;
};

/// What is due to a sink and in none of its live claims, what people decided first.
[[nodiscard]] Result<std::vector<DueRetry>> due_retries(Database& db, std::int64_t sink,
                                                        const std::set<std::int64_t>& in_flight, std::size_t limit);

/// On the writer's thread, before they go out: notes durably that TAK may have what is delivered, and ends take-backs
/// of a marker that is a later detection's by now. Those that may not go out (any more).
[[nodiscard]] Result<std::vector<std::int64_t>> allow_retries(Ledger& ledger, UtcMicros now, SinkName sink,
                                                              const std::vector<OutboxItem>& items);

/// What a batch came to, and the audit records that say so of its part of the log.
struct BatchEnd {
  Confirmation how = Confirmation::kConfirmed;
  UtcMicros sent{};
  std::int64_t delivery_record = 0, omission_record = 0;  ///< 0: there is none
};
/// Ends rows of a confirmed claim. Those that were held have a record each, which carries its detection's id; those of
/// the log are in the batch's own.
[[nodiscard]] Result<void> end_retries(Ledger& ledger, UtcMicros now, SinkName sink, const std::vector<Retry>& retries,
                                       const BatchEnd& end);

/// Makes a dead letter of it, unless it became something else meanwhile.
[[nodiscard]] Result<void> bury_retry(Database& db, std::int64_t sink, const Retry& retry, UtcMicros now,
                                      std::string_view reason);

/// Up to `limit` dead letters of a sink, the oldest, become due; how many. With their audit record.
[[nodiscard]] Result<std::int64_t> revive_dead_letters(Ledger& ledger, UtcMicros now, SinkName sink,
                                                       std::string_view actor, std::int64_t limit);

}  // namespace detection::store::sql
