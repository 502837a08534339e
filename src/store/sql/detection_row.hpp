#pragma once
// A detection as a row of the table `detection`: writing, reading, and the hash that its acceptance record carries.

#include <optional>
#include <string_view>

#include "store/sql/connection.hpp"
#include "store/sql/digest.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

/// Columns in the order in which read_located() and read_stored() expect them, from column `first`; a literal, so that
/// queries can be composed at compile time.
#define DETECTION_LOCATED_COLUMNS                                                                                 \
  "detection.seq, id, flag, observed, received, lat, lon, hae, ce90, le90, ai_confidence, object_class, source, " \
  "camera_id, track_id, cot_uid, cot_type, marks, measures"
#define DETECTION_STORED_COLUMNS DETECTION_LOCATED_COLUMNS ", disposition, content_sha256, accepted_in, request_json"
inline constexpr int kLocatedColumns = 19;
inline constexpr int kStoredColumns = 23;

/// What a row is made of, borrowed.
struct DetectionRow {
  std::int64_t sequence;
  const LocatedDetection& located;
  Disposition disposition;
  const Sha256& content_sha256;
  std::string_view request_json;
  std::int64_t accepted_in;  ///< audit record
};

/// Inserts it; false when a row with that id is there already. A number that is not finite is refused (kInternal).
[[nodiscard]] Result<bool> insert(Database& db, const DetectionRow& row);

/// Over every column in the order of the table, as Digest writes them.
[[nodiscard]] Sha256 digest(Digest& digest, const DetectionRow& row);

/// kInternal when the row holds what this program never writes (somebody else changed it).
[[nodiscard]] Result<LocatedDetection> read_located(const Query& q, int first = 0);

struct StoredRow {
  StoredDetection detection;
  std::int64_t accepted_in = 0;
};
[[nodiscard]] Result<StoredRow> read_stored(const Query& q, int first = 0);

}  // namespace detection::store::sql
