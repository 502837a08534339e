#include "store/sql/audit.hpp"

#include <algorithm>

#include "detection/json_writer.hpp"
#include "detection/text.hpp"
#include "store/sql/omissions.hpp"

namespace detection::store::sql {
namespace {

std::string_view disposition_word(Disposition disposition) {
  switch (disposition) {
    case Disposition::kQueue: return "queued";
    case Disposition::kHold: return "held";
    case Disposition::kDiscard: return "discarded";
  }
  return "queued";
}

/// The events of an acceptance or a delivery, from its body (JSON that SQLite itself can read).
Result<void> append_acceptance(Database& db, const AuditEvent& whole, std::string_view body,
                               std::vector<AuditEvent>& events) {
  auto q = db.query_of(
      {"SELECT ?1 ->> '$.received', ?1 ->> '$.validated', ?1 ->> '$.located', ?1 ->> '$.cot_made', "
       // A null takes the member away (RFC 7396).
       "json_patch(json_object('request_id', ?1 ->> '$.request_id'), json_object('trace_id', ?1 ->> '$.trace_id')), "
       "json_object('state', ?1 ->> '$.state')",
       "SELECT (body ->> 'received')::bigint, (body ->> 'validated')::bigint, (body ->> 'located')::bigint, "
       "(body ->> 'cot_made')::bigint, '{\"request_id\":' || coalesce((body -> 'request_id')::text, 'null') || "
       "coalesce(',\"trace_id\":' || (body -> 'trace_id')::text, '') || '}', "
       "'{\"state\":' || coalesce((body -> 'state')::text, 'null') || '}' FROM (SELECT as_json(?1) AS body) AS "
       "record"});
  auto row = q.bind(body).step();
  if (!row) return std::unexpected(std::move(row.error()));
  for (int step = 0; const auto type : kAcceptanceEvents) {
    AuditEvent event = whole;
    event.type = type;
    if (step < 4) event.at = {q.integer(step)};  // the last is the commit, when the record itself was made
    event.detail_json = step == 0 ? q.text(4) : step == 4 ? q.text(5) : "{}";
    events.push_back(std::move(event));
    ++step;
  }
  return {};
}

Result<void> append_delivery(Database& db, const AuditEvent& whole, std::string_view body,
                             std::vector<AuditEvent>& events) {
  auto q = db.query_of(
      {"SELECT ?1 ->> '$.sent', json_object('sink', ?1 ->> '$.sink'), "
       "json_object('sink', ?1 ->> '$.sink', 'confirmation', ?1 ->> '$.confirmation')",
       "SELECT (body ->> 'sent')::bigint, '{\"sink\":' || coalesce((body -> 'sink')::text, 'null') || '}', "
       "'{\"sink\":' || coalesce((body -> 'sink')::text, 'null') || ',\"confirmation\":' || "
       "coalesce((body -> 'confirmation')::text, 'null') || '}' FROM (SELECT as_json(?1) AS body) AS record"});
  auto row = q.bind(body).step();
  if (!row) return std::unexpected(std::move(row.error()));
  for (const auto type : kDeliveryEvents) {
    AuditEvent event = whole;
    event.type = type;
    if (type == kDeliveryEvents[0]) event.at = {q.integer(0)};
    event.detail_json = type == kDeliveryEvents[1] ? q.text(2) : q.text(1);
    events.push_back(std::move(event));
  }
  return {};
}

}  // namespace

Sha256 chained(Digest& digest, const Sha256& before, std::string_view chain, std::int64_t number,
               const AuditRecord& record) {
  return digest.raw(before)
      .add(chain)
      .add(number)
      .add(record.at.count)
      .add(record.type)
      .add(record.severity)
      .add(record.actor)
      .add(record.subject)
      .add(record.detection)
      .add(record.detection_sha256)
      .add(record.body)
      .finish();
}

std::string acceptance_body(const Acceptance& item) {
  std::string out;
  out.reserve(192);
  json::Writer w(out);
  w.begin_object();
  w.key("state");
  w.string(disposition_word(item.disposition));
  w.key("request_id");
  w.string(item.request_id);
  if (!item.trace_id.empty()) {
    w.key("trace_id");
    w.string(item.trace_id);
  }
  w.key("received");
  w.integer(item.times.received.count);
  w.key("validated");
  w.integer(item.times.validated.count);
  w.key("located");
  w.integer(item.times.located.count);
  w.key("cot_made");
  w.integer(item.times.cot_made.count);
  w.end_object();
  return out;
}

std::string delivery_body(std::string_view sink, Confirmation how, UtcMicros sent, std::int64_t count,
                          const std::vector<std::pair<std::int64_t, std::int64_t>>& ranges) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("sink");
  w.string(sink);
  w.key("confirmation");
  w.string(how == Confirmation::kConfirmed ? "confirmed" : "sent, unconfirmed");
  w.key("sent");
  w.integer(sent.count);
  w.key("count");
  w.integer(count);
  w.key("ranges");
  w.begin_array();
  for (const auto& [first, last] : ranges) {
    w.begin_array();
    w.integer(first);
    w.integer(last);
    w.end_array();
  }
  w.end_array();
  w.end_object();
  return out;
}

Result<void> append_events(Database& db, const Query& record, std::vector<AuditEvent>& events,
                           std::optional<std::int64_t> sequence) {
  AuditEvent event;
  event.record = number_in_chain(record.integer(0));
  event.chain = record.text(1);
  event.at = {record.integer(2)};
  event.type = record.text(3);
  event.severity = record.text(4);
  event.actor = as_utf8(record.text(5));
  const std::string body(record.text(6));
  if (event.type == kAcceptanceType) return append_acceptance(db, event, body, events);
  if (event.type == kDeliveryType) return append_delivery(db, event, body, events);
  if (event.type == kOmissionType) return append_omission(db, event, body, sequence, events);
  event.detail_json = as_utf8(body);
  events.push_back(std::move(event));
  return {};
}

Result<std::vector<AuditEvent>> timeline(Database& db, const Uuid& id) {
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  // What stands about it in its own row, what names it as its subject, the deliveries whose range it lies in and the
  // ranges that were left out. The
  // ranges of one sink do not overlap, so only the last that begins before it can hold it; a row that was never in
  // the queue is delivered by itself or not at all.
  static const std::string kSql =
      "WITH it AS (SELECT seq, disposition, accepted_in FROM detection WHERE id = ?1) "
      "SELECT " +
      std::string(kEventColumns) +
      ", (SELECT seq FROM it) FROM ("
      "SELECT accepted_in AS key FROM it "
      "UNION SELECT record FROM audit WHERE subject = ?1 "
      "UNION SELECT (SELECT CASE WHEN d.last_seq >= seq THEN d.record END FROM delivery AS d WHERE d.sink = s.number "
      "AND d.first_seq <= seq AND (d.first_seq = seq OR (disposition = 0 AND d.last_seq > d.first_seq)) "
      "ORDER BY d.first_seq DESC LIMIT 1) FROM it, sink AS s "
      "UNION SELECT (SELECT CASE WHEN o.last_seq >= seq THEN o.record END FROM omission AS o WHERE o.sink = s.number "
      "AND o.first_seq <= seq AND disposition = 0 ORDER BY o.first_seq DESC LIMIT 1) FROM it, sink AS s"
      ") AS found JOIN audit ON audit.record = key JOIN audit_chain ON audit_chain.number = audit.record >> 40";
  std::vector<AuditEvent> events;
  auto q = db.query(kSql);
  q.bind(id.bytes);
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    if (auto done = append_events(db, q, events, q.integer(7)); !done) return std::unexpected(std::move(done.error()));
  }
  // Stable, and there are few (libstdc++ 12's stable_sort does not compile cleanly with clang 19).
  for (auto it = events.begin(); it != events.end(); ++it)
    std::rotate(std::ranges::upper_bound(events.begin(), it, it->at, {}, &AuditEvent::at), it, std::next(it));
  return events;
}

}  // namespace detection::store::sql
