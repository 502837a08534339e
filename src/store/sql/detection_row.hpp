#pragma once
// A detection as a row of the table `detection`: writing, reading, and the hash that its acceptance record carries.

#include <array>
#include <optional>
#include <span>
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
#define DETECTION_INSERT_COLUMNS                                                                                     \
  "seq, id, disposition, flag, observed, received, lat, lon, hae, ce90, le90, ai_confidence, object_class, source, " \
  "camera_id, track_id, cot_uid, cot_type, marks, measures, content_sha256, accepted_in, request_json"

struct DetectionRow {
  std::int64_t sequence;
  const LocatedDetection& located;
  Disposition disposition;
  const Sha256& content_sha256;
  std::string_view request_json;
  std::int64_t accepted_in;  ///< audit record
};

/// Inserts it; false when a row with that id is there already. A number that is not finite is refused (kInternal).
/// Where the values of a row go, column by column.
class ColumnSink {
 public:
  virtual ~ColumnSink() = default;
  virtual void put(std::int64_t value) = 0;
  virtual void put(double value) = 0;
  virtual void put(std::string_view text) = 0;
  virtual void put(std::span<const std::uint8_t> bytes) = 0;
  virtual void put_null() = 0;
  template <class T>
  void put(const std::optional<T>& value) {
    if (value)
      put(*value);
    else
      put_null();
  }
};
inline constexpr std::size_t kMeasures = 14;
using MeasureBytes = std::array<std::uint8_t, kMeasures * 8>;
[[nodiscard]] MeasureBytes packed_measures(const LocatedDetection& located);
/// The values of DETECTION_INSERT_COLUMNS, in that order; views of the row and of `measures`, which is its own.
/// kInternal: a number of it is not finite; then none is put.
[[nodiscard]] Result<void> put_columns(const DetectionRow& row, const MeasureBytes& measures, ColumnSink& to);

/// Whether it was new.
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
