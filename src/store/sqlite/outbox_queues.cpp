// How full the queues are. No count walks over the log: what is queued is all there is behind the sink's start, less
// what is not for the queue, what was delivered and what is dead.

#include "store/sqlite/outbox.hpp"

namespace detection::store::sqlite {
namespace {

/// When the oldest of what waits behind the cursor was received.
Result<std::optional<UtcMicros>> oldest(Database& db, std::int64_t sink, std::int64_t cursor) {
  auto q = db.query(
      "SELECT received FROM detection AS d WHERE seq > ?2 AND disposition = 0 "
      "AND NOT EXISTS (SELECT 1 FROM dead_letter AS l WHERE l.seq = d.seq AND l.sink = ?1) "
      "AND NOT EXISTS (SELECT 1 FROM delivery AS v WHERE v.sink = ?1 AND v.first_seq > ?2 AND v.first_seq <= d.seq "
      "AND v.last_seq >= d.seq) ORDER BY seq LIMIT 1");
  auto row = q.bind(sink).bind(cursor).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::nullopt;
  return UtcMicros{q.integer(0)};
}

}  // namespace

Result<std::vector<SinkQueue>> Outbox::queues() {
  auto reader = readers_.lease();
  if (!reader) return std::unexpected(std::move(reader.error()));
  std::vector<SinkQueue> out;
  for (const auto& name : sinks()) {
    auto found = find(name);
    if (!found) continue;
    auto& sink = **found;
    SinkQueue queue;
    queue.sink = name;
    std::int64_t cursor = 0;
    {
      const std::lock_guard lock(sink.mutex);
      const auto state = writer_.state();
      queue.delivered = sink.delivered;
      queue.dead_letters = sink.dead_letters;
      queue.queued =
          (state.head - sink.start) - (state.exceptional - sink.start_exceptional) - sink.delivered - sink.dead_letters;
      cursor = sink.cursor;
    }
    if (queue.queued > 0) {
      auto first = oldest(**reader, sink.number, cursor);
      if (!first) return std::unexpected(std::move(first.error()));
      queue.oldest_queued = *first;
    }
    out.push_back(std::move(queue));
  }
  return out;
}

Result<std::vector<SinkQueue>> stored_queues(Database& db) {
  auto snapshot = Transaction::begin(db, false);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  auto q = db.query(
      "SELECT name, number, cursor, delivered, (SELECT count(*) FROM dead_letter WHERE sink = number), "
      "(SELECT ifnull(max(seq), 0) FROM detection) - start - "
      "((SELECT count(*) FROM detection WHERE disposition <> 0) - start_exceptional) FROM sink ORDER BY name");
  std::vector<SinkQueue> out;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return out;
    SinkQueue queue;
    queue.sink = q.text(0);
    queue.delivered = q.integer(3);
    queue.dead_letters = q.integer(4);
    queue.queued = q.integer(5) - queue.delivered - queue.dead_letters;
    auto first = oldest(db, q.integer(1), q.integer(2));
    if (!first) return std::unexpected(std::move(first.error()));
    queue.oldest_queued = *first;
    out.push_back(std::move(queue));
  }
}

}  // namespace detection::store::sqlite
