#pragma once
// What people decide about held detections: the states of design.md 4.2 as rows of `decision` and `retry`.
//
//   held -> released    a retry row (deliver) for every sink that the store knows
//   held -> rejected    nothing is due
//   released -> rejected  per sink: what TAK cannot have is withdrawn, what it may have is taken back
//   rejected -> released  delivered (again)
//
// Held against live claims by retry.at_tak alone, which is set durably before an event goes out: so nothing here needs
// to know what this process has in flight.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/sql/writer.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

inline constexpr std::string_view kDecisionType = "detection_verified";

/// A row of `decision`.
struct StoredDecision {
  Decision decision;
  std::int64_t sinks = 0;  ///< it speaks of the sinks up to this number
};

/// The highest sink number that a release goes to: where no sink was known, the first one gets it.
[[nodiscard]] std::int64_t released_to(const StoredDecision& decision);

/// What read_decision() reads from column `first`.
#define DECISION_COLUMNS "decision.verified, decision.notes, decision.actor, decision.at, decision.sinks"
inline constexpr int kDecisionColumns = 5;
[[nodiscard]] StoredDecision read_decision(const Query& q, int first = 0);

/// The one that counts.
[[nodiscard]] Result<std::optional<StoredDecision>> newest_decision(Database& db, std::int64_t sequence);

/// A later detection of the same track is in the queue or was released: TAK's marker is that one's.
[[nodiscard]] Result<bool> has_later_of_track(Database& db, std::string_view cot_uid, std::int64_t sequence);

/// Waits for the disk. `sinks`: those that count in the delivery that is answered.
[[nodiscard]] Result<Store::Verified> decide(Writer& writer, const Store::Verification& verification,
                                             const std::optional<std::vector<std::string>>& sinks);

}  // namespace detection::store::sql
