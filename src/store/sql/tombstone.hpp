#pragma once
// What stands for the pruned beginning of a chain: a row of audit_tombstone, one for each chain. Besides the hash that
// the rest of the chain goes on from it holds a rolling hash over the detections whose acceptances were pruned, since
// detections outlive their records: R(0) = 32 zero bytes, R(n) = SHA-256 in the canonical form of digest.hpp over the
// 32 bytes of R(n-1), detection.seq and detection_sha256 of the n-th of them.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "store/sql/audit.hpp"
#include "store/sql/connection.hpp"
#include "store/sql/digest.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

struct StoredTombstone {
  std::int64_t up_to = 0;  ///< 0: nothing was pruned
  std::int64_t records = 0;
  std::int64_t detections = 0;
  Sha256 head{}, detections_sha256{};
  UtcMicros pruned{};
  std::string signature;
};

/// Of a chain by its number; none: nothing was pruned of it. A hash that is not 32 bytes long is read as zeros, which
/// fit nothing.
[[nodiscard]] Result<std::optional<StoredTombstone>> find_tombstone(Database& db, std::int64_t chain);
/// Within a transaction: adds it or puts it in place of the one before. kConflict: that one is not up to `from`
/// (somebody else prunes).
[[nodiscard]] Result<void> put_tombstone(Database& db, std::int64_t chain, std::int64_t from,
                                         const StoredTombstone& tombstone);

/// As it is signed and shown.
[[nodiscard]] Tombstone shown(const std::string& chain, const StoredTombstone& tombstone);

[[nodiscard]] Sha256 rolled(Digest& digest, const Sha256& before, std::int64_t sequence,
                            std::span<const std::uint8_t> detection_sha256);

}  // namespace detection::store::sql
