// The part of the check that holds the table of decisions, which is what delivery goes by, against the audit records of
// the decisions: both ways, in slices.

#include <limits>

#include "store/sql/decisions.hpp"
#include "store/sql/limits.hpp"
#include "store/sql/verify.hpp"

namespace detection::store::sql {
namespace {

/// Whether a row says what its record says, is in the order of the records, and is the only one of its record. (A
/// record's body may be anything after somebody had a hand on it.)
#define ROWS(is_json, says_the_same, same_track)                                                                 \
  "SELECT d.number, d.seq, d.record, a.record, CASE WHEN " is_json                                               \
  " THEN a.type = ?1 AND a.subject = detection.id AND detection.disposition = 1 AND a.actor = d.actor "          \
  "AND " says_the_same " AND d.track " same_track                                                                \
  " CASE WHEN detection.track_id IS NOT NULL THEN detection.cot_uid END "                                        \
  "AND NOT EXISTS (SELECT 1 FROM decision AS o WHERE o.seq = d.seq AND o.number < d.number "                     \
  "AND o.record >> 40 = d.record >> 40 AND o.record >= d.record) END, "                                          \
  "EXISTS (SELECT 1 FROM audit_tombstone AS t WHERE t.chain = d.record >> 40 AND "                               \
  "t.up_to >= d.record & 1099511627775) "                                                                        \
  "FROM decision AS d LEFT JOIN audit AS a ON a.record = d.record LEFT JOIN detection ON detection.seq = d.seq " \
  "WHERE d.number > ?2 ORDER BY d.number LIMIT ?3"
constexpr sql::Texts kRows{ROWS("json_valid(a.body)",
                                "(a.body ->> '$.verified') = d.verified AND (a.body ->> '$.notes') = d.notes "
                                "AND coalesce(a.body ->> '$.at', a.at) = d.at",
                                "IS"),
                           ROWS("as_json(a.body) IS NOT NULL",
                                "(CASE as_json(a.body) ->> 'verified' WHEN 'true' THEN 1 WHEN 'false' THEN 0 END) = "
                                "d.verified AND (as_json(a.body) ->> 'notes') = d.notes "
                                "AND coalesce((as_json(a.body) ->> 'at')::bigint, a.at) = d.at",
                                "IS NOT DISTINCT FROM")};

/// Those of audit_other, an index beside which the acceptances are passed over.
constexpr std::string_view kRecords =
    "SELECT a.record, a.type <> ?1 OR EXISTS (SELECT 1 FROM detection JOIN decision AS d "
    "ON d.seq = detection.seq WHERE detection.id = a.subject AND d.record = a.record) "
    "FROM audit AS a WHERE a.detection IS NULL AND a.record > ?2 ORDER BY a.record LIMIT ?3";

/// Goes on behind `at`; false once there is no more.
Result<bool> rows(Database& db, std::int64_t& at, std::optional<std::string>& bad) {
  auto q = db.query_of(kRows);
  q.bind(kDecisionType).bind(at).bind(limits::kVerifySlice);
  bool any = false;
  while (true) {
    auto row = q.step();
    if (!row || !*row) return row ? Result<bool>(any) : row;
    any = true;
    at = q.integer(0);
    const bool pruned = q.is_null(3) && q.integer(5) != 0;
    if (pruned || q.integer(4) == 1) continue;
    bad = "the decision on detection " + std::to_string(q.integer(1)) + " (row " + std::to_string(at) +
          ") is not what its audit record says, or has none";
    return false;
  }
}

Result<bool> records(Database& db, std::int64_t& at, std::optional<std::string>& bad) {
  auto q = db.query(kRecords);
  q.bind(kDecisionType).bind(at).bind(limits::kVerifySlice);
  bool any = false;
  while (true) {
    auto row = q.step();
    if (!row || !*row) return row ? Result<bool>(any) : row;
    any = true;
    at = q.integer(0);
    if (q.integer(1) == 1) continue;
    bad = "the decision that audit record " + std::to_string(number_in_chain(at)) + " of chain number " +
          std::to_string(at >> kChainShift) + " tells of is gone";
    return false;
  }
}

}  // namespace

Result<std::optional<std::string>> check_decisions(Database& db, const std::atomic<bool>& stop) {
  std::optional<std::string> bad;
  for (auto* const part : {rows, records}) {
    std::int64_t at = std::numeric_limits<std::int64_t>::min();
    while (!bad) {
      if (stop) return check_ended();
      auto snapshot = Transaction::begin(db, TransactionKind::kRead);
      if (!snapshot) return std::unexpected(std::move(snapshot.error()));
      auto more = part(db, at, bad);
      if (!more) return std::unexpected(std::move(more.error()));
      if (!*more) break;
    }
  }
  return bad;
}

}  // namespace detection::store::sql
