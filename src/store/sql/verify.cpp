// The walk over the audit chains. It reads in slices, each a snapshot of its own, so that it never holds up the
// write-ahead log. What it walks over is append-only but for pruning, which takes beginnings away and says so.

#include "store/sql/verify.hpp"

#include <algorithm>
#include <limits>

#include "store/sql/detection_row.hpp"
#include "store/sql/limits.hpp"

namespace detection::store::sql {
namespace {

// SQLite: a value of the same bytes and another type reads as the same, so the types are looked at as well.
#define AUDIT_TYPES_HOLD                                                                               \
  "typeof(a.at) = 'integer' AND typeof(a.type) = 'text' AND typeof(a.severity) = 'text' AND "          \
  "typeof(a.actor) = 'text' AND typeof(a.subject) IN ('blob', 'null') AND "                            \
  "typeof(a.detection) IN ('integer', 'null') AND typeof(a.detection_sha256) IN ('blob', 'null') AND " \
  "typeof(a.body) = 'text' AND typeof(a.sha256) = 'blob'"
#define DETECTION_TYPES_HOLD                                                                              \
  "typeof(id) = 'blob' AND typeof(object_class) = 'text' AND typeof(source) = 'text' AND "                \
  "typeof(camera_id) = 'text' AND typeof(track_id) IN ('text', 'null') AND typeof(cot_uid) = 'text' AND " \
  "typeof(cot_type) = 'text' AND typeof(measures) = 'blob' AND typeof(content_sha256) = 'blob' AND "      \
  "typeof(request_json) = 'text'"

struct Remembered {
  std::int64_t number = 0;
  std::vector<std::uint8_t> sha256;
};

struct Chain {
  std::int64_t number = 0;
  std::string name;
  std::int64_t last = 0;  ///< number of its last record when the walk began
  std::optional<Remembered> remembered{};
};

struct Extent {
  std::vector<Chain> chains;
  std::int64_t highest = 0;            ///< detection.seq
  std::optional<std::string> stray{};  ///< what belongs to no chain, or below the log
};

Result<bool> any(Database& db, std::string_view sql, std::int64_t first, std::int64_t last) {
  auto q = db.query(sql);
  return q.bind(first).bind(last).step();
}

Result<std::optional<std::string>> find_stray(Database& db, const std::vector<Chain>& chains) {
  static constexpr std::string_view kRecords = "SELECT 1 FROM audit WHERE record BETWEEN ? AND ? LIMIT 1";
  std::int64_t behind = std::numeric_limits<std::int64_t>::min();
  for (std::size_t i = 0; i <= chains.size(); ++i) {
    const auto end = i < chains.size() ? record_key(chains[i].number, 0) : std::numeric_limits<std::int64_t>::max();
    auto found = any(db, kRecords, behind, end);
    if (!found) return std::unexpected(std::move(found.error()));
    if (*found) return "there are audit records of no known chain";
    if (i < chains.size()) behind = record_key(chains[i].number + 1, 0);
  }
  auto lost = db.integer(
      "SELECT chain FROM (SELECT chain FROM audit_head UNION SELECT chain FROM audit_tombstone) AS known "
      "WHERE chain NOT IN (SELECT number FROM audit_chain)");
  if (!lost) return std::unexpected(std::move(lost.error()));
  if (*lost) return "a whole chain (number " + std::to_string(**lost) + ") is gone";
  auto lowest = db.integer("SELECT min(seq) FROM detection");
  if (!lowest) return std::unexpected(std::move(lowest.error()));
  if (lowest->value_or(1) < 1) return "there are detections of sequences below 1";
  return std::nullopt;
}

Result<Extent> measure(Database& db) {
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  Extent extent;
  auto q = db.query(
      "SELECT number, name, (SELECT max(record) FROM audit WHERE record > number << 40 AND record < (number + 1) << "
      "40), (SELECT h.number FROM audit_head AS h WHERE h.chain = audit_chain.number), "
      "(SELECT h.sha256 FROM audit_head AS h WHERE h.chain = audit_chain.number) "
      "FROM audit_chain ORDER BY audit_chain.number");
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    Chain chain{q.integer(0), std::string(q.text(1)), number_in_chain(q.integer(2))};
    const auto hash = q.bytes(4);
    if (!q.is_null(3)) chain.remembered = Remembered{q.integer(3), {hash.begin(), hash.end()}};
    extent.chains.push_back(std::move(chain));
  }
  auto highest = db.integer("SELECT max(seq) FROM detection");
  if (!highest) return std::unexpected(std::move(highest.error()));
  extent.highest = highest->value_or(0);
  auto stray = find_stray(db, extent.chains);
  if (!stray) return std::unexpected(std::move(stray.error()));
  extent.stray = std::move(*stray);
  return extent;
}

class Walk {
 public:
  Walk(Database& db, const Chain& chain, const VerifyContext& context) : db_(db), chain_(chain), context_(context) {
    if (context.live && context.live->first == chain.name) live_ = context.live->second;
  }

  /// What is wrong with the chain's first bad record, if one is.
  Result<std::optional<std::string>> run() {
    do {
      if (context_.stop) return check_ended();
      auto bad = slice();
      if (!bad || *bad) return bad;
    } while (head_.number < chain_.last);
    if (live_ && live_->number > chain_.last) return place(chain_.last + 1) + ": it was written and is gone";
    return std::nullopt;
  }

  /// What is wrong with the chain's end, when the walk found nothing.
  [[nodiscard]] std::optional<std::string> fault_at_end() const {
    const auto& remembered = chain_.remembered;
    if (!remembered) {
      if (last_other_ == 0) return std::nullopt;
      return "chain " + chain_.name + ": what remembers its end is gone";
    }
    if (remembered->number > chain_.last) return place(remembered->number) + ": it was written and is gone";
    if (remembered->number < last_other_) return "chain " + chain_.name + ": what remembers its end was changed";
    if (remembered->number > base_.up_to && !remembered_fits_)
      return place(remembered->number) + ": it is not the record that was written";
    return std::nullopt;
  }

  [[nodiscard]] const ChainHead& head() const { return head_; }
  /// Acceptances from the chain's beginning on, also the pruned ones.
  [[nodiscard]] std::int64_t acceptances() const { return acceptances_; }
  [[nodiscard]] const StoredTombstone& base() const { return base_; }

 private:
  [[nodiscard]] std::string place(std::int64_t number) const {
    return "chain " + chain_.name + ", record " + std::to_string(number);
  }

  /// Begins behind the tombstone, also when records are pruned while the walk is on its way to them.
  Result<std::optional<std::string>> skip_pruned() {
    auto tombstone = find_tombstone(db_, chain_.number);
    if (!tombstone) return std::unexpected(std::move(tombstone.error()));
    if (!*tombstone || (*tombstone)->up_to <= head_.number) return std::nullopt;
    base_ = std::move(**tombstone);
    head_ = {base_.up_to, base_.head};
    acceptances_ = base_.detections;
    // What was written since the walk began is too young to be pruned; and a tombstone never stands for a last record.
    if (base_.up_to > chain_.last) return "chain " + chain_.name + ": its tombstone was changed";
    auto goes_on = any(db_, "SELECT 1 FROM audit WHERE record BETWEEN ? AND ?",
                       record_key(chain_.number, base_.up_to + 1), record_key(chain_.number, base_.up_to + 1));
    if (!goes_on) return std::unexpected(std::move(goes_on.error()));
    if (!*goes_on) return place(base_.up_to + 1) + ": it is missing";
    return fault(chain_.name, base_, context_.signer);
  }

  Result<std::optional<std::string>> slice() {
    auto snapshot = Transaction::begin(db_, TransactionKind::kRead);
    if (!snapshot) return std::unexpected(std::move(snapshot.error()));
    if (auto bad = skip_pruned(); !bad || *bad) return bad;
#define SLICE(audit_types_hold, detection_types_hold)                                                         \
  "SELECT a.record, a.at, a.type, a.severity, a.actor, a.subject, a.detection, a.detection_sha256, a.body, "  \
  "a.sha256, " audit_types_hold ", " detection_types_hold ", " DETECTION_STORED_COLUMNS                       \
  " FROM audit AS a LEFT JOIN detection ON detection.seq = a.detection WHERE a.record > ? AND a.record <= ? " \
  "ORDER BY a.record LIMIT ?"
    auto q = db_.query_of({SLICE(AUDIT_TYPES_HOLD, DETECTION_TYPES_HOLD), SLICE("true", "true")});
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
    if (!any && head_.number < chain_.last) return place(head_.number + 1) + ": it is missing";
    return std::nullopt;
  }

  Result<std::optional<std::string>> check(const Query& q, std::int64_t number) {
    AuditRecord record{
        .at = {q.integer(1)}, .type = q.text(2), .severity = q.text(3), .actor = q.text(4), .body = q.text(8)};
    if (!q.is_null(5)) record.subject = q.bytes(5);
    if (!q.is_null(6)) record.detection = q.integer(6);
    if (!q.is_null(7)) record.detection_sha256 = q.bytes(7);
    const auto hash = chained(digest_, head_.sha256, chain_.name, number, record);
    if (!std::ranges::equal(hash, q.bytes(9)) || q.integer(10) != 1)
      return place(number) + ": its hash does not fit what it says and what came before it";
    if (live_ && live_->number == number && live_->sha256 != hash)
      return place(number) + ": it is not the record that was written";
    if (chain_.remembered && chain_.remembered->number == number)
      remembered_fits_ = std::ranges::equal(hash, chain_.remembered->sha256);
    head_ = {number, hash};
    if (!record.detection) {
      last_other_ = number;
      return std::nullopt;
    }
    ++acceptances_;
    return check_detection(q, number, record);
  }

  Result<std::optional<std::string>> check_detection(const Query& q, std::int64_t number, const AuditRecord& record) {
    constexpr int kTypes = 11, kFirst = 12;
    const std::string what = place(number) + ": detection " + std::to_string(*record.detection);
    if (q.is_null(kFirst)) return what + " is missing";
    auto row = read_stored(q, kFirst);
    if (!row || q.integer(kTypes) != 1) return what + " was changed";
    const auto& d = row->detection;
    const auto hash =
        digest(digest_, {d.sequence, d.located, d.disposition, d.content_sha256, d.request_json, row->accepted_in});
    if (!record.detection_sha256 || !std::ranges::equal(hash, *record.detection_sha256)) return what + " was changed";
    return std::nullopt;
  }

  Database& db_;
  const Chain& chain_;
  const VerifyContext& context_;
  std::optional<ChainHead> live_;
  StoredTombstone base_;
  ChainHead head_;
  std::int64_t acceptances_ = 0;
  std::int64_t last_other_ = 0;  ///< the last record that is no acceptance
  bool remembered_fits_ = false;
  Digest digest_;
};

}  // namespace

Result<AuditVerdict> verify(Database& db, const VerifyContext& context) {
  auto extent = measure(db);
  if (!extent) return std::unexpected(std::move(extent.error()));
  AuditVerdict verdict;
  std::int64_t acceptances = 0;
  const auto note = [&verdict](std::optional<std::string> what) {
    if (!verdict.first_bad) verdict.first_bad = std::move(what);
  };
  std::vector<PrunedPart> pruned;
  std::vector<std::string> ends;
  for (const auto& chain : extent->chains) {
    Walk walk(db, chain, context);
    auto bad = walk.run();
    if (!bad) return std::unexpected(std::move(bad.error()));
    note(*bad);
    if (!*bad)
      if (auto end = walk.fault_at_end()) ends.push_back(std::move(*end));
    acceptances += walk.acceptances();
    const auto up_to = walk.base().up_to;
    const auto records = std::max<std::int64_t>(chain.last - up_to, 0);
    verdict.records += records;
    verdict.chains.push_back({chain.name, records, hex(walk.head().sha256), up_to});
    if (up_to > 0) pruned.push_back({chain.number, chain.name, walk.base()});
  }
  const auto& live = context.live;
  if (live && std::ranges::none_of(extent->chains, [&](const Chain& c) { return c.name == live->first; }))
    note("chain " + live->first + ": it is gone");
  note(extent->stray);
  // Each acceptance has shown its own row, so as many rows as acceptances from 1 on leave room for no other.
  if (acceptances != extent->highest)
    note("there are " + std::to_string(extent->highest) + " detections, but " + std::to_string(acceptances) +
         " acceptances");
  auto changed = check_pruned(db, pruned, context.stop);
  if (!changed) return std::unexpected(std::move(changed.error()));
  note(*changed);
  for (auto& end : ends) note(std::move(end));
  auto decisions = check_decisions(db, context.stop);
  if (!decisions) return std::unexpected(std::move(decisions.error()));
  note(*decisions);
  if (context.structure) {
    auto damage = context.structure(db, context.stop);
    if (!damage) return std::unexpected(std::move(damage.error()));
    note(*damage);
  }
  verdict.valid = !verdict.first_bad;
  return verdict;
}

}  // namespace detection::store::sql
