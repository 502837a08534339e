#pragma once
// The live feed, read from the audit chains: which record makes which event.
//
//   acceptance                          kDetection
//   delivery                            kDelivery, delivered: the detections of its ranges
//   tak_push_omitted                    kDelivery, discarded: the detections of its ranges
//   tak_push_success with taken_back    kDelivery, delivered, taken back
//   tak_push_failed, state dead_letter  kDelivery, dead letter
//   detection_queued with ranges        kDelivery, queued: dead letters once more
//   detection_queued of a detection     kDelivery, rejected: what was to be taken back is a later detection's marker
//   detection_verified                  kVerification
//
// A cursor is "f" and, for each chain that had a record, "<chain>-<record>", joined by dots; what stands in none has
// not begun. The chains are merged by the times of their records.

#include <cstddef>
#include <string>
#include <string_view>

#include "store/sql/connection.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

[[nodiscard]] Result<std::string> feed_head(Database& db);
/// As Store::feed().
[[nodiscard]] Result<FeedPage> feed(Database& db, std::string_view cursor, std::size_t limit);

}  // namespace detection::store::sql
