// The part of the check that looks beside the chains: pruned beginnings.

#include <algorithm>

#include "store/sql/detection_row.hpp"
#include "store/sql/limits.hpp"
#include "store/sql/verify.hpp"

namespace detection::store::sql {
namespace {

class PrunedCheck {
 public:
  PrunedCheck(Database& db, const std::vector<PrunedPart>& parts) : db_(db) {
    for (const auto& part : parts) {
      if (part.tombstone.detections == 0) continue;
      parts_.push_back({part, {}, 0});
      wanted_ += part.tombstone.detections;
    }
  }

  [[nodiscard]] bool done() const { return found_ >= wanted_ || at_end_; }

  Result<std::optional<std::string>> slice() {
    auto q = db_.query("SELECT " DETECTION_STORED_COLUMNS
                       " FROM detection WHERE detection.seq > ? ORDER BY detection.seq LIMIT ?");
    q.bind(sequence_).bind(limits::kVerifySlice);
    at_end_ = true;
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) return std::nullopt;
      at_end_ = false;
      sequence_ = q.integer(0);
      auto stored = read_stored(q);
      if (!stored) return "detection " + std::to_string(sequence_) + " was changed";
      add(*stored);
    }
  }

  [[nodiscard]] std::optional<std::string> fault() const {
    for (const auto& [part, hash, count] : parts_)
      if (count != part.tombstone.detections || hash != part.tombstone.detections_sha256)
        return "chain " + part.name + ": the " + std::to_string(part.tombstone.detections) +
               " detections whose acceptances were pruned are not as they were";
    return std::nullopt;
  }

 private:
  struct Part {
    PrunedPart part;
    Sha256 hash{};
    std::int64_t count = 0;
  };

  void add(const StoredRow& row) {
    const auto it =
        std::ranges::find(parts_, row.accepted_in >> kChainShift, [](const Part& p) { return p.part.chain; });
    if (it == parts_.end() || number_in_chain(row.accepted_in) > it->part.tombstone.up_to) return;
    const auto& d = row.detection;
    const auto sha256 =
        digest(digest_, {d.sequence, d.located, d.disposition, d.content_sha256, d.request_json, row.accepted_in});
    it->hash = rolled(digest_, it->hash, d.sequence, sha256);
    ++it->count;
    ++found_;
  }

  Database& db_;
  std::vector<Part> parts_;
  std::int64_t wanted_ = 0, found_ = 0, sequence_ = 0;
  bool at_end_ = false;
  Digest digest_;
};

}  // namespace

std::unexpected<Error> check_ended() {
  return fail(ErrorCode::kStoreUnavailable, "the store is closed: the check of the audit was ended");
}

std::optional<std::string> fault(const std::string& chain, const StoredTombstone& tombstone,
                                 const TombstoneSigner& signer) {
  // Chains begin at 1 and have no gaps.
  if (tombstone.up_to < 1 || tombstone.records != tombstone.up_to || tombstone.detections < 0 ||
      tombstone.detections > tombstone.records)
    return "chain " + chain + ": its tombstone was changed";
  if (tombstone.signature.empty() ||
      (signer.verify && !signer.verify(tombstone_text(shown(chain, tombstone)), tombstone.signature)))
    return "chain " + chain + ": the signature of its tombstone is not good";
  return std::nullopt;
}

Result<std::optional<std::string>> check_pruned(Database& db, const std::vector<PrunedPart>& parts,
                                                const std::atomic<bool>& stop) {
  PrunedCheck check(db, parts);
  while (!check.done()) {
    if (stop) return check_ended();
    auto bad = check.slice();
    if (!bad || *bad) return bad;
  }
  return check.fault();
}

}  // namespace detection::store::sql
