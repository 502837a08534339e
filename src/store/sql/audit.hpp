#pragma once
// The audit chains. A record's hash is SHA-256, in the canonical form of digest.hpp, over
//   the 32 bytes of the hash before it (zeros for the first), the chain's name, its number within the chain, at, type,
//   severity, actor, subject (optional), detection (optional), detection_sha256 (optional), body.
// Two types of record stand for several events and are shown as them: an acceptance (its steps with their times) and
// a delivery (a batch that a sink has). What a sink's policy left out of a batch is one record too, an event in the
// timeline of each (omissions.hpp).

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/sql/digest.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

inline constexpr std::string_view kAcceptanceType = "acceptance";
inline constexpr std::string_view kDeliveryType = "delivery";

/// audit.record: the chain's number and the number within it as one key, so that a chain lies in one piece and its
/// head is found without an index of its own.
inline constexpr int kChainShift = 40;
[[nodiscard]] constexpr std::int64_t record_key(std::int64_t chain, std::int64_t number) {
  return (chain << kChainShift) + number;
}
[[nodiscard]] constexpr std::int64_t number_in_chain(std::int64_t key) {
  return key & ((std::int64_t{1} << kChainShift) - 1);
}

/// Borrowed.
struct AuditRecord {
  UtcMicros at{};
  std::string_view type, severity, actor;
  std::optional<std::span<const std::uint8_t>> subject{};
  std::optional<std::int64_t> detection{};
  std::optional<std::span<const std::uint8_t>> detection_sha256{};
  std::string_view body;
};

struct ChainHead {
  std::int64_t number = 0;  ///< of the last record; 0: none
  Sha256 sha256{};
};

[[nodiscard]] Sha256 chained(Digest& digest, const Sha256& before, std::string_view chain, std::int64_t number,
                             const AuditRecord& record);

/// audit.record, its chain's name, at, type, severity, actor, body: what append_events() reads.
inline constexpr std::string_view kEventColumns =
    "audit.record, audit_chain.name, audit.at, audit.type, audit.severity, audit.actor, audit.body";
[[nodiscard]] std::string acceptance_body(const Acceptance& item);
[[nodiscard]] std::string delivery_body(std::string_view sink, Confirmation how, UtcMicros sent, std::int64_t count,
                                        const std::vector<std::pair<std::int64_t, std::int64_t>>& ranges);
/// The events that the record in the current row stands for; `sequence`: as the timeline of that detection shows them.
[[nodiscard]] Result<void> append_events(Database& db, const Query& record, std::vector<AuditEvent>& events,
                                         std::optional<std::int64_t> sequence = std::nullopt);

/// Event types that an acceptance is shown as, in order.
inline constexpr std::string_view kAcceptanceEvents[] = {"detection_received", "detection_validated",
                                                         "geolocation_calculated", "cot_generated", "detection_queued"};
/// And a delivery: when the batch left, and when it was known to be there.
inline constexpr std::string_view kDeliveryEvents[] = {"tak_push_attempted", "tak_push_success", "detection_synced"};

[[nodiscard]] Result<std::vector<AuditEvent>> timeline(Database& db, const Uuid& id);

}  // namespace detection::store::sql
