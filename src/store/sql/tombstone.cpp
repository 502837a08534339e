#include "store/sql/tombstone.hpp"

#include <algorithm>

namespace detection::store::sql {
namespace {

Sha256 hash_of(std::span<const std::uint8_t> bytes) {
  Sha256 hash{};
  if (bytes.size() == hash.size()) std::ranges::copy(bytes, hash.begin());
  return hash;
}

}  // namespace

Result<std::optional<StoredTombstone>> find_tombstone(Database& db, std::int64_t chain) {
  auto q = db.query(
      "SELECT up_to, records, detections, head_sha256, detections_sha256, pruned, signature FROM audit_tombstone "
      "WHERE chain = ?");
  auto row = q.bind(chain).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::nullopt;
  return StoredTombstone{.up_to = q.integer(0),
                         .records = q.integer(1),
                         .detections = q.integer(2),
                         .head = hash_of(q.bytes(3)),
                         .detections_sha256 = hash_of(q.bytes(4)),
                         .pruned = {q.integer(5)},
                         .signature = std::string(q.text(6))};
}

Result<void> put_tombstone(Database& db, std::int64_t chain, std::int64_t from, const StoredTombstone& tombstone) {
  auto now = find_tombstone(db, chain);
  if (!now) return std::unexpected(std::move(now.error()));
  if (now->value_or(StoredTombstone{}).up_to != from)
    return fail(ErrorCode::kConflict, "the audit is being pruned by somebody else");
  return db
      .query(
          "INSERT INTO audit_tombstone (chain, up_to, head_sha256, records, detections, detections_sha256, pruned, "
          "signature) VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (chain) DO UPDATE SET up_to = excluded.up_to, "
          "head_sha256 = excluded.head_sha256, records = excluded.records, detections = excluded.detections, "
          "detections_sha256 = excluded.detections_sha256, pruned = excluded.pruned, signature = excluded.signature")
      .bind(chain)
      .bind(tombstone.up_to)
      .bind(tombstone.head)
      .bind(tombstone.records)
      .bind(tombstone.detections)
      .bind(tombstone.detections_sha256)
      .bind(tombstone.pruned.count)
      .bind(tombstone.signature)
      .run();
}

Tombstone shown(const std::string& chain, const StoredTombstone& tombstone) {
  return {.chain = chain,
          .up_to_record = tombstone.up_to,
          .head_sha256 = hex(tombstone.head),
          .records = tombstone.records,
          .detections = tombstone.detections,
          .detections_sha256 = hex(tombstone.detections_sha256),
          .pruned = tombstone.pruned,
          .signature = tombstone.signature};
}

Sha256 rolled(Digest& digest, const Sha256& before, std::int64_t sequence,
              std::span<const std::uint8_t> detection_sha256) {
  return digest.raw(before).add(sequence).add(detection_sha256).finish();
}

}  // namespace detection::store::sql
