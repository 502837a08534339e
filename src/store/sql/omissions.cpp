#include "store/sql/omissions.hpp"

#include "detection/json_writer.hpp"

namespace detection::store::sql {

std::string omission_body(std::string_view sink, const std::vector<OmittedRange>& ranges, std::int64_t count) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("sink");
  w.string(sink);
  w.key("state");
  w.string(delivery_state_name(DeliveryState::kDiscarded));
  w.key("count");
  w.integer(count);
  w.key("ranges");
  w.begin_array();
  for (const auto& [span, reason] : ranges) {
    w.begin_array();
    w.integer(span.first);
    w.integer(span.last);
    w.string(omit_reason_name(reason));
    w.end_array();
  }
  w.end_array();
  w.end_object();
  return out;
}

Result<void> put_omission(Database& db, std::int64_t sink, const OmittedRange& range, std::int64_t record) {
  return db.query("INSERT INTO omission (sink, first_seq, last_seq, reason, record) VALUES (?,?,?,?,?)")
      .bind(sink)
      .bind(range.span.first)
      .bind(range.span.last)
      .bind(std::int64_t{static_cast<std::uint8_t>(range.reason)})
      .bind(record)
      .run();
}

Result<void> append_omission(Database& db, const AuditEvent& whole, std::string_view body,
                             std::optional<std::int64_t> sequence, std::vector<AuditEvent>& events) {
  auto event = whole;
  constexpr sql::Texts kOfOne{
      "SELECT json_object('sink', ?1 ->> '$.sink', 'state', ?1 ->> '$.state', 'reason', "
      "(SELECT value ->> 2 FROM json_each(?1, '$.ranges') WHERE ?2 BETWEEN value ->> 0 AND value ->> 1))",
      "SELECT row_to_json(told)::text FROM (SELECT body ->> 'sink' AS sink, body ->> 'state' AS state, "
      "(SELECT value ->> 2 FROM json_array_elements(body -> 'ranges') AS value WHERE ?2 BETWEEN (value ->> 0)::bigint "
      "AND (value ->> 1)::bigint) AS reason FROM (SELECT as_json(?1) AS body) AS record) AS told"};
  constexpr sql::Texts kOfAll{
      "SELECT json_object('sink', ?1 ->> '$.sink', 'state', ?1 ->> '$.state', 'count', ?1 ->> '$.count', 'reasons', "
      "(SELECT json_group_array(DISTINCT value ->> 2) FROM json_each(?1, '$.ranges')))",
      "SELECT row_to_json(told)::text FROM (SELECT body ->> 'sink' AS sink, body ->> 'state' AS state, "
      "(body ->> 'count')::bigint AS count, (SELECT array_agg(DISTINCT value ->> 2) FROM "
      "json_array_elements(body -> 'ranges') AS value) AS reasons FROM (SELECT as_json(?1) AS body) AS record) AS "
      "told"};
  auto q = db.query_of(sequence ? kOfOne : kOfAll);
  q.bind(body);
  if (sequence) q.bind(*sequence);
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  event.detail_json = q.text(0);
  events.push_back(std::move(event));
  return {};
}

Result<Spans> omitted_within(Database& db, std::int64_t sink, std::int64_t first, std::int64_t last) {
  auto q = db.query(
      "SELECT first_seq, last_seq FROM omission WHERE sink = ?1 AND first_seq BETWEEN coalesce((SELECT max(first_seq) "
      "FROM omission WHERE sink = ?1 AND first_seq <= ?2), ?2) AND ?3");
  q.bind(sink).bind(first).bind(last);
  Spans out;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return out;
    out.add({q.integer(0), q.integer(1)});
  }
}

}  // namespace detection::store::sql
