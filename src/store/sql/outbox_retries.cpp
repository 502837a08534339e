#include "store/sql/outbox_retries.hpp"

#include <algorithm>
#include <utility>

#include "detection/json_writer.hpp"
#include "store/sql/audit.hpp"
#include "store/sql/decisions.hpp"
#include "store/sql/detection_row.hpp"
#include "store/sql/omissions.hpp"

namespace detection::store::sql {
namespace {

constexpr std::string_view kCourier = "courier";

/// Whether a row was removed.
Result<bool> remove_exact(Database& db, std::int64_t sink, const Retry& retry) {
  auto done = db.query("DELETE FROM retry WHERE sink = ? AND in_log = ? AND seq = ? AND kind = ?")
                  .bind(sink)
                  .bind(std::int64_t{retry.in_log})
                  .bind(retry.sequence)
                  .bind(std::int64_t{retry.take_back})
                  .run();
  if (!done) return std::unexpected(std::move(done.error()));
  return db.changes() == 1;
}

std::string withdrawn_body(std::string_view sink) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("sink");
  w.string(sink);
  w.key("state");
  w.string(delivery_state_name(DeliveryState::kRejected));
  w.key("reason");
  w.string("not taken back: a later detection of its track has the marker");
  w.end_object();
  return out;
}

std::string taken_back_body(std::string_view sink, Confirmation how, UtcMicros sent) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("sink");
  w.string(sink);
  w.key("confirmation");
  w.string(how == Confirmation::kConfirmed ? "confirmed" : "sent, unconfirmed");
  w.key("sent");
  w.integer(sent.count);
  w.key("taken_back");
  w.boolean(true);
  w.end_object();
  return out;
}

/// Only numbers that follow each other become one range, and only of the log: so a range of several holds what it says
/// also where it is read as "those of disposition queue".
std::string revived_body(std::string_view sink, const std::vector<std::pair<std::int64_t, bool>>& letters) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("sink");
  w.string(sink);
  w.key("state");
  w.string(delivery_state_name(DeliveryState::kQueued));
  w.key("count");
  w.integer(letters.size());
  w.key("ranges");
  w.begin_array();
  for (std::size_t i = 0; i < letters.size();) {
    std::size_t end = i + 1;
    while (end < letters.size() && letters[i].second && letters[end].second &&
           letters[end].first == letters[end - 1].first + 1)
      ++end;
    w.begin_array();
    w.integer(letters[i].first);
    w.integer(letters[end - 1].first);
    w.end_array();
    i = end;
  }
  w.end_array();
  w.end_object();
  return out;
}

Result<bool> allow_delivery(Database& db, std::int64_t sink, std::int64_t sequence) {
  auto done = db.query("UPDATE retry SET at_tak = 1 WHERE sink = ? AND in_log = 0 AND seq = ? AND kind = 0")
                  .bind(sink)
                  .bind(sequence)
                  .run();
  if (!done) return std::unexpected(std::move(done.error()));
  return db.changes() == 1;
}

Result<bool> allow_take_back(Ledger& ledger, UtcMicros now, SinkName sink, const OutboxItem& item) {
  auto& db = ledger.database();
  auto later = has_later_of_track(db, item.located.cot_uid, item.sequence);
  if (!later) return std::unexpected(std::move(later.error()));
  if (!*later) return true;
  auto removed = remove_exact(db, sink.number, {item.sequence, item.located.id, true, false});
  if (!removed || !*removed) return removed;
  const auto body = withdrawn_body(sink.name);
  auto record = ledger.append({.at = now,
                               .type = "detection_queued",
                               .severity = "INFO",
                               .actor = kCourier,
                               .subject = item.located.id.bytes,
                               .body = body});
  if (!record) return std::unexpected(std::move(record.error()));
  return false;
}

Result<void> end_take_back(Ledger& ledger, UtcMicros now, SinkName sink, const Retry& retry, Confirmation how,
                           UtcMicros sent) {
  auto& db = ledger.database();
  auto removed = remove_exact(db, sink.number, retry);
  if (!removed) return std::unexpected(std::move(removed.error()));
  if (!*removed) {  // released again meanwhile: TAK has it no more
    auto done = db.query("UPDATE retry SET at_tak = 0 WHERE sink = ? AND in_log = 0 AND seq = ?")
                    .bind(sink.number)
                    .bind(retry.sequence)
                    .run();
    if (!done) return done;
  }
  const auto body = taken_back_body(sink.name, how, sent);
  auto record = ledger.append({.at = now,
                               .type = kDeliveryEvents[1],
                               .severity = "INFO",
                               .actor = kCourier,
                               .subject = retry.id.bytes,
                               .body = body});
  if (!record) return std::unexpected(std::move(record.error()));
  return {};
}

Result<void> end_release(Ledger& ledger, UtcMicros now, SinkName sink, const Retry& retry, Confirmation how,
                         UtcMicros sent) {
  auto& db = ledger.database();
  auto removed = remove_exact(db, sink.number, retry);
  if (!removed) return std::unexpected(std::move(removed.error()));
  const auto body = delivery_body(sink.name, how, sent, 1, {{retry.sequence, retry.sequence}});
  auto record = ledger.append({.at = now,
                               .type = kDeliveryType,
                               .severity = "INFO",
                               .actor = kCourier,
                               .subject = retry.id.bytes,
                               .body = body});
  if (!record) return std::unexpected(std::move(record.error()));
  return db.query("UPDATE sink SET delivered_late = delivered_late + 1 WHERE number = ?").bind(sink.number).run();
}

/// A released one that the sink's filter left out.
Result<void> end_omitted_release(Ledger& ledger, UtcMicros now, SinkName sink, const Retry& retry) {
  auto& db = ledger.database();
  auto removed = remove_exact(db, sink.number, retry);
  if (!removed) return std::unexpected(std::move(removed.error()));
  const auto body = omission_body(sink.name, {{{retry.sequence, retry.sequence}, *retry.omitted}}, 1);
  auto record = ledger.append({.at = now,
                               .type = kOmissionType,
                               .severity = "INFO",
                               .actor = kCourier,
                               .subject = retry.id.bytes,
                               .body = body});
  if (!record) return std::unexpected(std::move(record.error()));
  if (*removed) {  // else it is decided anew, and what is due is not this
    auto put = db.query("INSERT INTO omission_late (sink, seq, reason) VALUES (?,?,?) ON CONFLICT DO NOTHING")
                   .bind(sink.number)
                   .bind(retry.sequence)
                   .bind(std::int64_t{static_cast<std::uint8_t>(*retry.omitted)})
                   .run();
    if (!put) return put;
  }
  return db.query("UPDATE sink SET omitted_late = omitted_late + 1 WHERE number = ?").bind(sink.number).run();
}

Result<void> end_of_log(Database& db, std::int64_t sink, const Retry& retry, const BatchEnd& end) {
  auto removed = remove_exact(db, sink, retry);
  if (!removed) return std::unexpected(std::move(removed.error()));
  if (retry.omitted)
    return put_omission(db, sink, {{retry.sequence, retry.sequence}, *retry.omitted}, end.omission_record);
  return db.query("INSERT INTO delivery (sink, first_seq, last_seq, record) VALUES (?,?,?,?)")
      .bind(sink)
      .bind(retry.sequence)
      .bind(retry.sequence)
      .bind(end.delivery_record)
      .run();
}

Result<void> end_one(Ledger& ledger, UtcMicros now, SinkName sink, const Retry& retry, const BatchEnd& end) {
  if (retry.in_log) return end_of_log(ledger.database(), sink.number, retry, end);
  if (retry.take_back) return end_take_back(ledger, now, sink, retry, end.how, end.sent);
  if (retry.omitted) return end_omitted_release(ledger, now, sink, retry);
  return end_release(ledger, now, sink, retry, end.how, end.sent);
}

}  // namespace

Result<void> put_retry(Database& db, const RetryRow& row, UtcMicros now) {
  return db
      .query(
          "INSERT INTO retry (sink, in_log, seq, kind, at_tak, due) VALUES (?,0,?,?,?,?) ON CONFLICT (sink, in_log, "
          "seq) DO UPDATE "
          "SET kind = excluded.kind, at_tak = CASE WHEN retry.at_tak = 1 THEN 1 ELSE excluded.at_tak END, "
          "due = excluded.due")
      .bind(row.sink)
      .bind(row.sequence)
      .bind(std::int64_t{row.take_back})
      .bind(std::int64_t{row.at_tak})
      .bind(now.count)
      .run();
}

Result<std::optional<RetryRow>> remove_retry(Database& db, std::int64_t sink, std::int64_t sequence) {
  auto q = db.query("DELETE FROM retry WHERE sink = ? AND in_log = 0 AND seq = ? RETURNING kind, at_tak");
  auto row = q.bind(sink).bind(sequence).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::nullopt;
  const RetryRow removed{sink, sequence, q.integer(0) != 0, q.integer(1) != 0};
  if (auto done = q.run(); !done) return std::unexpected(std::move(done.error()));
  return removed;
}

Result<bool> remove_dead_letter(Database& db, std::int64_t sink, std::int64_t sequence) {
  auto done = db.query("DELETE FROM dead_letter WHERE seq = ? AND sink = ?").bind(sequence).bind(sink).run();
  if (!done) return std::unexpected(std::move(done.error()));
  return db.changes() == 1;
}

Result<bool> remove_late_omission(Database& db, std::int64_t sink, std::int64_t sequence) {
  auto done = db.query("DELETE FROM omission_late WHERE sink = ? AND seq = ?").bind(sink).bind(sequence).run();
  if (!done) return std::unexpected(std::move(done.error()));
  return db.changes() == 1;
}

Result<void> put_released(Database& db, std::int64_t sink, UtcMicros now) {
  return db
      .query(
          "INSERT INTO retry (sink, in_log, seq, kind, at_tak, due) SELECT ?, 0, seq, 0, 0, ? FROM decision AS d "
          "WHERE verified = 1 AND NOT EXISTS (SELECT 1 FROM decision AS newer WHERE newer.seq = d.seq AND "
          "newer.number > d.number)")
      .bind(sink)
      .bind(now.count)
      .run();
}

#define DUE_RETRIES(retry_join)                                                 \
  "SELECT " DETECTION_LOCATED_COLUMNS ", in_log, kind, at_tak FROM " retry_join \
  " detection ON detection.seq = retry.seq WHERE retry.sink = ? ORDER BY in_log, kind DESC, retry.seq LIMIT ?"

Result<std::vector<DueRetry>> due_retries(Database& db, std::int64_t sink, const std::set<std::int64_t>& in_flight,
                                          std::size_t limit) {
  auto q = db.query_of({DUE_RETRIES("retry INDEXED BY retry_due CROSS JOIN"), DUE_RETRIES("retry JOIN")});
  q.bind(sink).bind(static_cast<std::int64_t>(limit + in_flight.size()));
  std::vector<DueRetry> out;
  while (out.size() < limit) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    if (in_flight.contains(q.integer(0))) continue;
    auto located = read_located(q);
    if (!located) return std::unexpected(std::move(located.error()));
    DueRetry due;
    due.item = {q.integer(0), std::move(*located), q.integer(kLocatedColumns + 1) != 0, true};
    due.in_log = q.integer(kLocatedColumns) != 0;
    due.at_tak = q.integer(kLocatedColumns + 2) != 0;
    out.push_back(std::move(due));
  }
  return out;
}

Result<std::vector<std::int64_t>> allow_retries(Ledger& ledger, UtcMicros now, SinkName sink,
                                                const std::vector<OutboxItem>& items) {
  std::vector<std::int64_t> refused;
  for (const auto& item : items) {
    auto allowed = item.take_back ? allow_take_back(ledger, now, sink, item)
                                  : allow_delivery(ledger.database(), sink.number, item.sequence);
    if (!allowed) return std::unexpected(std::move(allowed.error()));
    if (!*allowed) refused.push_back(item.sequence);
  }
  return refused;
}

Result<void> end_retries(Ledger& ledger, UtcMicros now, SinkName sink, const std::vector<Retry>& retries,
                         const BatchEnd& end) {
  for (const auto& retry : retries)
    if (auto done = end_one(ledger, now, sink, retry, end); !done) return done;
  return {};
}

Result<void> bury_retry(Database& db, std::int64_t sink, const Retry& retry, UtcMicros now, std::string_view reason) {
  auto removed = remove_exact(db, sink, retry);
  if (!removed) return std::unexpected(std::move(removed.error()));
  if (!*removed) return {};
  return db.query("INSERT INTO dead_letter (seq, sink, at, reason, in_log) VALUES (?,?,?,?,?)")
      .bind(retry.sequence)
      .bind(sink)
      .bind(now.count)
      .bind(reason)
      .bind(std::int64_t{retry.in_log})
      .run();
}

Result<std::int64_t> revive_dead_letters(Ledger& ledger, UtcMicros now, SinkName sink, std::string_view actor,
                                         std::int64_t limit) {
  auto& db = ledger.database();
  std::vector<std::pair<std::int64_t, bool>> letters;  // seq, in_log
  {
    auto q = db.query("SELECT seq, in_log FROM dead_letter WHERE sink = ? ORDER BY seq LIMIT ?");
    q.bind(sink.number).bind(limit);
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      letters.emplace_back(q.integer(0), q.integer(1) != 0);
    }
  }
  if (letters.empty()) return 0;
  for (const auto& [sequence, in_log] : letters) {
    auto removed = remove_dead_letter(db, sink.number, sequence);
    if (!removed) return std::unexpected(std::move(removed.error()));
    // What is due of a held one is what its newest decision says; a sink that refused it may yet have had it before.
    auto put =
        db.query(
              "INSERT INTO retry (sink, in_log, seq, kind, at_tak, due) VALUES (?1, ?2, ?3, CASE WHEN ?2 = 1 THEN 0 "
              "ELSE coalesce((SELECT 1 - verified FROM decision WHERE seq = ?3 ORDER BY number DESC LIMIT 1), 0) "
              "END, 1 - ?2, ?4)")
            .bind(sink.number)
            .bind(std::int64_t{in_log})
            .bind(sequence)
            .bind(now.count)
            .run();
    if (!put) return std::unexpected(std::move(put.error()));
  }
  const auto body = revived_body(sink.name, letters);
  auto record =
      ledger.append({.at = now, .type = "detection_queued", .severity = "INFO", .actor = actor, .body = body});
  if (!record) return std::unexpected(std::move(record.error()));
  ledger.note_due();
  return static_cast<std::int64_t>(letters.size());
}

}  // namespace detection::store::sql
