#include "store/sql/prune.hpp"

#include <algorithm>
#include <thread>

#include "detection/json_writer.hpp"
#include "store/sql/limits.hpp"
#include "store/sql/tombstone.hpp"

namespace detection::store::sql {
namespace {

std::string announcement(const std::string& chain, std::int64_t from, std::int64_t up_to, UtcMicros before) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("chain");
  w.string(chain);
  w.key("from_record");
  w.integer(from);
  w.key("up_to_record");
  w.integer(up_to);
  w.key("before");
  w.string(format_rfc3339_us(before));
  w.end_object();
  return out;
}

class ChainPruning {
 public:
  ChainPruning(const Pruning& pruning, std::int64_t chain, std::string name)
      : pruning_(pruning), chain_(chain), name_(std::move(name)) {}

  Result<std::int64_t> run() {
    if (auto done = find_cut(); !done) return std::unexpected(std::move(done.error()));
    const auto first = stone_.up_to + 1;
    std::int64_t removed = 0;
    while (stone_.up_to < cut_ && !pruning_.stop) {
      auto next = checked_chunk();
      if (!next) return std::unexpected(std::move(next.error()));
      if (auto done = remove(*next, first); !done) return std::unexpected(std::move(done.error()));
      removed += next->up_to - stone_.up_to;
      stone_ = std::move(*next);
      if (stone_.up_to < cut_) std::this_thread::sleep_for(limits::kPrunePause);
    }
    return removed;
  }

 private:
  /// The last record to go: all up to it are from before, and it is not the chain's last.
  Result<void> find_cut() {
    std::int64_t last = 0, at = 0;
    {
      auto reader = pruning_.readers.lease();
      if (!reader) return std::unexpected(std::move(reader.error()));
      auto stone = find_tombstone(**reader, chain_);
      if (!stone) return std::unexpected(std::move(stone.error()));
      stone_ = std::move(*stone).value_or(StoredTombstone{});
      auto q = (*reader)->query("SELECT max(record) FROM audit WHERE record > ? AND record < ?");
      auto row = q.bind(record_key(chain_, 0)).bind(record_key(chain_ + 1, 0)).step();
      if (!row) return std::unexpected(std::move(row.error()));
      last = number_in_chain(q.integer(0));
    }
    cut_ = at = stone_.up_to;
    while (at < last && !pruning_.stop) {
      auto reader = pruning_.readers.lease();
      if (!reader) return std::unexpected(std::move(reader.error()));
      const auto end = std::min(at + limits::kVerifySlice, last);
      auto q = (*reader)->query(
          "SELECT record FROM audit WHERE record > ? AND record <= ? AND at >= ? ORDER BY record LIMIT 1");
      auto row = q.bind(record_key(chain_, at)).bind(record_key(chain_, end)).bind(pruning_.before.count).step();
      if (!row) return std::unexpected(std::move(row.error()));
      cut_ = *row ? number_in_chain(q.integer(0)) - 1 : end;
      if (*row) break;
      at = end;
    }
    cut_ = std::min(cut_, last - 1);
    return {};
  }

  /// Reads and checks the next chunk; the tombstone that would stand for it.
  Result<StoredTombstone> checked_chunk() {
    auto reader = pruning_.readers.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    auto& db = **reader;
    StoredTombstone next = stone_;
    auto q = db.query(
        "SELECT record, at, type, severity, actor, subject, detection, detection_sha256, body, sha256 FROM audit "
        "WHERE record > ? AND record <= ? ORDER BY record");
    q.bind(record_key(chain_, stone_.up_to))
        .bind(record_key(chain_, std::min(stone_.up_to + limits::kPruneChunk, cut_)));
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      if (!take(q, next))
        return fail(ErrorCode::kConflict, "chain " + name_ + ", record " + std::to_string(next.up_to + 1) +
                                              " is not as it was written; it and what follows is kept");
    }
    if (next.up_to == stone_.up_to)
      return fail(ErrorCode::kConflict,
                  "chain " + name_ + ", record " + std::to_string(next.up_to + 1) + " is missing");
    next.pruned = pruning_.now;
    auto signature = pruning_.signer.sign(tombstone_text(shown(name_, next)));
    if (!signature) return std::unexpected(std::move(signature.error()));
    next.signature = std::move(*signature);
    return next;
  }

  bool take(const Query& q, StoredTombstone& next) {
    const auto number = number_in_chain(q.integer(0));
    AuditRecord record{
        .at = {q.integer(1)}, .type = q.text(2), .severity = q.text(3), .actor = q.text(4), .body = q.text(8)};
    if (!q.is_null(5)) record.subject = q.bytes(5);
    if (!q.is_null(6)) record.detection = q.integer(6);
    if (!q.is_null(7)) record.detection_sha256 = q.bytes(7);
    if (number != next.up_to + 1) return false;
    const auto hash = chained(digest_, next.head, name_, number, record);
    if (!std::ranges::equal(hash, q.bytes(9))) return false;
    next.head = hash;
    next.up_to = number;
    ++next.records;
    if (!record.detection) return true;
    if (!record.detection_sha256) return false;
    ++next.detections;
    next.detections_sha256 = rolled(digest_, next.detections_sha256, *record.detection, *record.detection_sha256);
    return true;
  }

  Result<void> remove(const StoredTombstone& next, std::int64_t first) {
    return pruning_.commit([&](Ledger& ledger, UtcMicros now) -> Result<void> {
      auto& db = ledger.database();
      if (first == stone_.up_to + 1) {
        const auto body = announcement(name_, first, cut_, pruning_.before);
        auto told =
            ledger.append({.at = now, .type = kPrunedType, .severity = "INFO", .actor = pruning_.actor, .body = body});
        if (!told) return std::unexpected(std::move(told.error()));
      }
      if (auto done = put_tombstone(db, chain_, stone_.up_to, next); !done) return done;
      // What remembers the chain's end must not point at what goes.
      auto moved = db.query(
                         "UPDATE audit_head SET number = ?2, sha256 = (SELECT sha256 FROM audit WHERE record = "
                         "(?1 << 40) + ?2) WHERE chain = ?1 AND number < ?2 AND EXISTS (SELECT 1 FROM audit WHERE "
                         "record = (?1 << 40) + audit_head.number AND audit.sha256 = audit_head.sha256)")
                       .bind(chain_)
                       .bind(next.up_to + 1)
                       .run();
      if (!moved) return moved;
      return db.query("DELETE FROM audit WHERE record > ? AND record <= ?")
          .bind(record_key(chain_, stone_.up_to))
          .bind(record_key(chain_, next.up_to))
          .run();
    });
  }

  const Pruning& pruning_;
  const std::int64_t chain_;
  const std::string name_;
  StoredTombstone stone_;  ///< as it stands
  std::int64_t cut_ = 0;
  Digest digest_;
};

}  // namespace

Result<std::int64_t> prune(const Pruning& pruning) {
  if (!pruning.signer.sign)
    return fail(ErrorCode::kConfiguration, "the audit is pruned only with a key that signs what is left in its place");
  if (pruning.before > pruning.now + -kAuditRetentionLeast)
    return fail(ErrorCode::kValidationFailed,
                "the audit is kept for at least " + std::to_string(kAuditRetentionLeast.count()) + " days");
  std::vector<std::pair<std::int64_t, std::string>> chains;
  {
    auto reader = pruning.readers.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    auto q = (*reader)->query("SELECT number, name FROM audit_chain ORDER BY number");
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      chains.emplace_back(q.integer(0), q.text(1));
    }
  }
  std::int64_t removed = 0;
  for (auto& [number, name] : chains) {
    auto gone = ChainPruning(pruning, number, std::move(name)).run();
    if (!gone) return std::unexpected(std::move(gone.error()));
    removed += *gone;
  }
  return removed;
}

}  // namespace detection::store::sql
