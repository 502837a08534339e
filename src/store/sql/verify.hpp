#pragma once
// The check of the audit. It finds, in any record: a changed column (also one of the same value and another type), a
// record removed from the middle, inserted, reordered or renumbered; in any detection a change, and its removal or
// insertion; a changed, removed or (with a signer) forged tombstone; an end that was cut off, as long as audit_head or
// a detection remembers it; in any row of `decision` a change (but of `sinks`, which no record states), its removal,
// insertion, or another order, as long as its record is not pruned.
//
// Not covered are the tables that only say what is to be done or has been: `delivery`, `retry`, `dead_letter`, `sink`,
// `api_key`, `revoked_token`. What was delivered and who was given a key is in the chains.
//
// What no check of this file alone can find: that somebody who may write it put back an older copy of the whole, cut
// off an end together with what remembers it, or changed a record and made all hashes behind it anew. For that the
// heads must be known elsewhere: verify_audit() and the export show them, and `serve` logs them at its start.

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "store/sql/audit.hpp"
#include "store/sql/connection.hpp"
#include "store/sql/tombstone.hpp"

namespace detection::store::sql {

/// The engine's own look at the pages of the audit; once `stop` is set it ends soon with kStoreUnavailable.
using StructureCheck = std::function<Result<std::optional<std::string>>(Database& db, const std::atomic<bool>& stop)>;

struct VerifyContext {
  /// The chain that this process writes and its head, which the records must reach.
  std::optional<std::pair<std::string, ChainHead>> live{};
  TombstoneSigner signer{};       ///< without verify() signatures are not checked
  const std::atomic<bool>& stop;  ///< once set, the check ends soon with kStoreUnavailable
  StructureCheck structure{};     ///< if the engine has one
};

[[nodiscard]] Result<AuditVerdict> verify(Database& db, const VerifyContext& context);

/// What is wrong with a tombstone by itself, if anything is.
[[nodiscard]] std::optional<std::string> fault(const std::string& chain, const StoredTombstone& tombstone,
                                               const TombstoneSigner& signer);

/// The beginning of a chain that a tombstone stands for.
struct PrunedPart {
  std::int64_t chain = 0;
  std::string name;
  StoredTombstone tombstone;
};
/// Holds the detections whose acceptances were pruned against the rolling hashes of the tombstones.
[[nodiscard]] Result<std::optional<std::string>> check_pruned(Database& db, const std::vector<PrunedPart>& parts,
                                                              const std::atomic<bool>& stop);

/// Holds the decisions against their records, and these against the decisions.
[[nodiscard]] Result<std::optional<std::string>> check_decisions(Database& db, const std::atomic<bool>& stop);

[[nodiscard]] std::unexpected<Error> check_ended();

}  // namespace detection::store::sql
