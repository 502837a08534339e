// How full the queues are, and their dead letters. No count walks over the log: what of it is queued is all there is
// behind the sink's start, less what is not for the queue, what was delivered, what was left out and what is dead.

#include <algorithm>
#include <limits>

#include "store/sql/limits.hpp"
#include "store/sql/outbox.hpp"

namespace detection::store::sql {
namespace {

/// When the oldest of what waits in the log behind the cursor was received.
Result<std::optional<UtcMicros>> oldest(Database& db, std::int64_t sink, std::int64_t cursor) {
  auto q = db.query(
      "SELECT received FROM detection AS d WHERE seq > ?2 AND disposition = 0 "
      "AND NOT EXISTS (SELECT 1 FROM dead_letter AS l WHERE l.seq = d.seq AND l.sink = ?1) "
      "AND NOT EXISTS (SELECT 1 FROM retry AS r WHERE r.sink = ?1 AND r.in_log = 1 AND r.seq = d.seq) "
      "AND NOT EXISTS (SELECT 1 FROM delivery AS v WHERE v.sink = ?1 AND v.first_seq > ?2 AND v.first_seq <= d.seq "
      "AND v.last_seq >= d.seq) "
      "AND NOT EXISTS (SELECT 1 FROM omission AS o WHERE o.sink = ?1 AND o.first_seq > ?2 AND o.first_seq <= d.seq "
      "AND o.last_seq >= d.seq) ORDER BY seq LIMIT 1");
  auto row = q.bind(sink).bind(cursor).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::nullopt;
  return UtcMicros{q.integer(0)};
}

struct LogSize {
  std::int64_t head = 0, exceptional = 0;
  double mean_bytes = 0;
};

Result<LogSize> log_size(Database& db, const Writer* writer) {
  if (db.is_postgres()) {  // other processes write as well
    auto q = db.query("SELECT head, exceptional, mean_bytes FROM log");
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    return LogSize{q.integer(0), q.integer(1), q.real(2)};
  }
  if (writer != nullptr) {
    const auto state = writer->state();
    return LogSize{state.head, state.exceptional, state.mean_bytes};
  }
  auto mean = mean_record_bytes(db);
  if (!mean) return std::unexpected(std::move(mean.error()));
  auto q = db.query(
      "SELECT (SELECT coalesce(max(seq), 0) FROM detection), (SELECT count(*) FROM detection WHERE disposition <> 0)");
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  return LogSize{q.integer(0), q.integer(1), *mean};
}

Result<SinkName> known_sink(Database& db, std::string_view name) {
  auto q = db.query("SELECT number FROM sink WHERE name = ?");
  auto row = q.bind(name).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return fail(ErrorCode::kNotFound, "there is no sink " + std::string(name));
  return SinkName{q.integer(0), name};
}

}  // namespace

Result<std::vector<SinkQueue>> stored_queues(Database& db, const std::optional<std::vector<std::string>>& sinks,
                                             const Writer* writer) {
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  auto q = db.query(
      "SELECT name, number, cursor, delivered_late, omitted_late, dead, "
      "(SELECT min(due) FROM retry WHERE sink = number), " SINK_QUEUED_COLUMNS " FROM sink ORDER BY name");
  constexpr int kCounts = 7, kDelivered = kCounts + 2, kOmitted = kCounts + 3;
  std::map<std::string, QueueLimits, std::less<>> limits;
  if (writer != nullptr) limits = writer->capacity().limits();
  std::vector<SinkQueue> out;
  std::optional<LogSize> log;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return out;
    if (sinks && std::ranges::find(*sinks, q.text(0)) == sinks->end()) continue;
    if (!log) {
      // After the snapshot was begun: nothing that it shows as delivered is missing from these.
      auto size = log_size(db, writer);
      if (!size) return std::unexpected(std::move(size.error()));
      log = *size;
    }
    SinkQueue queue;
    queue.sink = q.text(0);
    queue.delivered = q.integer(kDelivered) + q.integer(3);
    queue.omitted = q.integer(kOmitted) + q.integer(4);
    queue.dead_letters = q.integer(5);
    const auto count = queued_count(q, kCounts, log->head, log->exceptional);
    queue.queued = count.all();
    queue.bytes = static_cast<std::int64_t>(static_cast<double>(queue.queued) * log->mean_bytes);
    if (const auto found = limits.find(queue.sink); found != limits.end()) queue.limits = found->second;
    if (!q.is_null(6)) queue.oldest_queued = UtcMicros{q.integer(6)};
    if (count.of_log > 0) {
      auto first = oldest(db, q.integer(1), q.integer(2));
      if (!first) return std::unexpected(std::move(first.error()));
      if (*first) queue.oldest_queued = std::min(**first, queue.oldest_queued.value_or(**first));
    }
    out.push_back(std::move(queue));
  }
}

Result<DeadLetterPage> dead_letters(Database& db, std::string_view sink, std::optional<std::int64_t> before,
                                    std::size_t limit) {
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  auto known = known_sink(db, sink);
  if (!known) return std::unexpected(std::move(known.error()));
  limit = std::clamp<std::size_t>(limit, 1, limits::kListItems);
  auto q = db.query(
      "SELECT l.seq, d.id, d.cot_uid, l.at, l.reason, CASE WHEN l.in_log = 0 THEN coalesce((SELECT 1 - verified FROM "
      "decision WHERE decision.seq = l.seq ORDER BY number DESC LIMIT 1), 0) ELSE 0 END FROM (SELECT * FROM "
      "dead_letter "
      "WHERE sink = ? AND seq < ? ORDER BY seq DESC LIMIT ?) AS l JOIN detection AS d ON d.seq = l.seq "
      "ORDER BY l.seq DESC");
  q.bind(known->number)
      .bind(before.value_or(std::numeric_limits<std::int64_t>::max()))
      .bind(static_cast<std::int64_t>(limit) + 1);
  DeadLetterPage page;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return page;
    if (page.items.size() == limit) {
      page.next_before = page.items.back().sequence;
      return page;
    }
    DeadLetter letter{q.integer(0),          {}, std::string(q.text(2)), q.integer(5) != 0, {q.integer(3)},
                      std::string(q.text(4))};
    const auto id = q.bytes(1);
    if (id.size() == letter.id.bytes.size()) std::ranges::copy(id, letter.id.bytes.begin());
    page.items.push_back(std::move(letter));
  }
}

Result<std::int64_t> retry_dead_letters(Writer& writer, std::string_view sink, std::string_view actor) {
  std::int64_t total = 0, left = 0;
  bool first = true;
  do {
    std::int64_t revived = 0;
    std::optional<Error> unknown;
    auto done = writer.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
      auto& db = ledger.database();
      unknown.reset();
      auto known = known_sink(db, sink);
      if (!known && known.error().code == ErrorCode::kNotFound) {
        unknown = std::move(known.error());
        return {};
      }
      if (!known) return std::unexpected(std::move(known.error()));
      if (first) {
        // What dies again while this goes on is another call's.
        auto q = db.query("SELECT count(*) FROM dead_letter WHERE sink = ?");
        auto row = q.bind(known->number).step();
        if (!row) return std::unexpected(std::move(row.error()));
        left = q.integer(0);
      }
      auto some = revive_dead_letters(ledger, now, *known, actor, std::min(left, limits::kRevivedAtOnce));
      if (!some) return std::unexpected(std::move(some.error()));
      revived = *some;
      return {};
    });
    if (!done) return std::unexpected(std::move(done.error()));
    if (unknown) return std::unexpected(std::move(*unknown));
    if (revived == 0) break;
    first = false;
    total += revived;
    left -= revived;
    writer.count_audit("detection_queued", "INFO", 1);
  } while (left > 0);
  return total;
}

}  // namespace detection::store::sql
