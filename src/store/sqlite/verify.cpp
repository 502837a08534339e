// The walk over the audit chains. It reads in slices, each a snapshot of its own, so that it never holds up the
// write-ahead log; what it walks over is append-only, so the slices fit together.

#include <algorithm>
#include <limits>

#include "store/sqlite/audit.hpp"
#include "store/sqlite/detection_row.hpp"
#include "store/sqlite/limits.hpp"

namespace detection::store::sqlite {
namespace {

struct Chain {
  std::int64_t number = 0;
  std::string name;
  std::int64_t last = 0;  ///< number of its last record when the walk began
};

struct Extent {
  std::vector<Chain> chains;
  std::int64_t highest = 0;       ///< detection.seq
  bool stray_detections = false;  ///< some below 1
  bool stray_records = false;     ///< some of no known chain
};

Result<bool> any_record(Database& db, std::int64_t first, std::int64_t last) {
  auto q = db.query("SELECT 1 FROM audit WHERE record BETWEEN ? AND ? LIMIT 1");
  return q.bind(first).bind(last).step();
}

Result<Extent> measure(Database& db) {
  auto snapshot = Transaction::begin(db, false);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  Extent extent;
  auto q = db.query(
      "SELECT number, name, (SELECT max(record) FROM audit WHERE record > number << 40 AND record < (number + 1) << "
      "40) "
      "FROM audit_chain ORDER BY number");
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    extent.chains.push_back({q.integer(0), std::string(q.text(1)), number_in_chain(q.integer(2))});
  }
  auto lowest = db.integer("SELECT min(seq) FROM detection"), highest = db.integer("SELECT max(seq) FROM detection");
  if (!lowest) return std::unexpected(std::move(lowest.error()));
  if (!highest) return std::unexpected(std::move(highest.error()));
  extent.highest = highest->value_or(0);
  extent.stray_detections = lowest->value_or(1) < 1;
  std::int64_t behind = std::numeric_limits<std::int64_t>::min();
  for (const auto& chain : extent.chains) {
    auto stray = any_record(db, behind, record_key(chain.number, 0));
    if (!stray) return std::unexpected(std::move(stray.error()));
    extent.stray_records |= *stray;
    behind = record_key(chain.number + 1, 0);
  }
  auto stray = any_record(db, behind, std::numeric_limits<std::int64_t>::max());
  if (!stray) return std::unexpected(std::move(stray.error()));
  extent.stray_records |= *stray;
  return extent;
}

class Walk {
 public:
  Walk(Database& db, const Chain& chain, const std::optional<std::pair<std::string, ChainHead>>& live,
       const std::atomic<bool>& stop)
      : db_(db), chain_(chain), stop_(stop) {
    if (live && live->first == chain.name) live_ = live->second;
  }

  /// What is wrong with the chain's first bad record, if one is.
  Result<std::optional<std::string>> run() {
    while (head_.number < chain_.last) {
      if (stop_) return fail(ErrorCode::kStoreUnavailable, "the store is closed: the check of the audit was ended");
      auto bad = slice();
      if (!bad || *bad) return bad;
    }
    if (live_ && live_->number > chain_.last) return place(chain_.last + 1) + ": it was written and is gone";
    return std::nullopt;
  }

  [[nodiscard]] const ChainHead& head() const { return head_; }
  [[nodiscard]] std::int64_t acceptances() const { return acceptances_; }

 private:
  [[nodiscard]] std::string place(std::int64_t number) const {
    return "chain " + chain_.name + ", record " + std::to_string(number);
  }

  Result<std::optional<std::string>> slice() {
    auto q = db_.query(
        "SELECT a.record, a.at, a.type, a.severity, a.actor, a.subject, a.detection, a.detection_sha256, a.body, "
        "a.sha256, " DETECTION_STORED_COLUMNS
        " FROM audit AS a LEFT JOIN detection ON detection.seq = a.detection WHERE a.record > ? AND a.record <= ? "
        "ORDER BY a.record LIMIT ?");
    q.bind(record_key(chain_.number, head_.number)).bind(record_key(chain_.number, chain_.last));
    q.bind(limits::kVerifySlice);
    bool any = false;
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      any = true;
      const auto number = number_in_chain(q.integer(0));
      if (number != head_.number + 1) return place(head_.number + 1) + ": it is missing";
      auto bad = check(q, number);
      if (!bad || *bad) return bad;
    }
    if (!any) return place(head_.number + 1) + ": it is missing";
    return std::nullopt;
  }

  Result<std::optional<std::string>> check(const Query& q, std::int64_t number) {
    AuditRecord record{
        .at = {q.integer(1)}, .type = q.text(2), .severity = q.text(3), .actor = q.text(4), .body = q.text(8)};
    if (!q.is_null(5)) record.subject = q.bytes(5);
    if (!q.is_null(6)) record.detection = q.integer(6);
    if (!q.is_null(7)) record.detection_sha256 = q.bytes(7);
    const auto hash = chained(digest_, head_.sha256, chain_.name, number, record);
    if (!std::ranges::equal(hash, q.bytes(9)))
      return place(number) + ": its hash does not fit what it says and what came before it";
    if (live_ && live_->number == number && live_->sha256 != hash)
      return place(number) + ": it is not the record that was written";
    head_ = {number, hash};
    if (!record.detection) return std::nullopt;
    ++acceptances_;
    return check_detection(q, number, record);
  }

  Result<std::optional<std::string>> check_detection(const Query& q, std::int64_t number, const AuditRecord& record) {
    constexpr int kFirst = 10;
    const std::string what = place(number) + ": detection " + std::to_string(*record.detection);
    if (q.is_null(kFirst)) return what + " is missing";
    auto row = read_stored(q, kFirst);
    if (!row) return what + " was changed";
    const auto& d = row->detection;
    const auto hash =
        digest(digest_, {d.sequence, d.located, d.disposition, d.content_sha256, d.request_json, row->accepted_in});
    if (!record.detection_sha256 || !std::ranges::equal(hash, *record.detection_sha256)) return what + " was changed";
    return std::nullopt;
  }

  Database& db_;
  const Chain& chain_;
  const std::atomic<bool>& stop_;
  std::optional<ChainHead> live_;
  ChainHead head_;
  std::int64_t acceptances_ = 0;
  Digest digest_;
};

}  // namespace

Result<AuditVerdict> verify(Database& db, std::optional<std::pair<std::string, ChainHead>> live,
                            const std::atomic<bool>& stop) {
  auto extent = measure(db);
  if (!extent) return std::unexpected(std::move(extent.error()));
  AuditVerdict verdict;
  std::int64_t acceptances = 0;
  const auto note = [&verdict](std::string what) {
    if (!verdict.first_bad) verdict.first_bad = std::move(what);
  };
  for (const auto& chain : extent->chains) {
    Walk walk(db, chain, live, stop);
    auto bad = walk.run();
    if (!bad) return std::unexpected(std::move(bad.error()));
    if (*bad) note(std::move(**bad));
    acceptances += walk.acceptances();
    verdict.records += chain.last;
    verdict.chains.push_back({chain.name, chain.last, hex(walk.head().sha256)});
  }
  if (live && std::ranges::none_of(extent->chains, [&](const Chain& c) { return c.name == live->first; }))
    note("chain " + live->first + ": it is gone");
  if (extent->stray_records) note("there are audit records of no known chain");
  // Each acceptance has shown its own row, so as many rows as acceptances from 1 on leave room for no other.
  if (extent->stray_detections || acceptances != extent->highest)
    note("there are " + std::to_string(extent->highest) + " detections, but " + std::to_string(acceptances) +
         " acceptances");
  verdict.valid = !verdict.first_bad;
  return verdict;
}

}  // namespace detection::store::sqlite
