#include "store/sql/detection_row.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace detection::store::sql {
namespace {

using Measures = std::array<double, kMeasures>;

constexpr std::int64_t kExercise = 1, kHaeKnown = 2, kGrazing = 4, kOutsideImage = 8;
constexpr int kSourceShift = 8, kReasonsShift = 16;

Measures measures_of(const LocatedDetection& d) {
  const auto& c = d.fix.covariance_enu_m2;
  const auto& e = d.fix.ellipse;
  return {d.pixel.x_px,
          d.pixel.y_px,
          c[0],
          c[1],
          c[2],
          c[3],
          c[4],
          c[5],
          e.semi_major_m,
          e.semi_minor_m,
          e.azimuth_deg,
          e.probability,
          d.fix.slant_range_m,
          d.fix.grazing_deg};
}

MeasureBytes pack(const Measures& values) {
  MeasureBytes out;
  auto* to = out.data();
  for (const double value : values) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (unsigned i = 0; i < 8; ++i) *to++ = static_cast<std::uint8_t>(bits >> (8 * i));
  }
  return out;
}

Measures unpack(std::span<const std::uint8_t> bytes) {
  Measures out;
  for (std::size_t k = 0; k < kMeasures; ++k) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 8; ++i) bits |= std::uint64_t{bytes[8 * k + i]} << (8 * i);
    out[k] = std::bit_cast<double>(bits);
  }
  return out;
}

std::int64_t marks_of(const LocatedDetection& d) {
  return (d.exercise ? kExercise : 0) | (d.fix.hae_known ? kHaeKnown : 0) | (d.fix.grazing ? kGrazing : 0) |
         (d.fix.outside_image ? kOutsideImage : 0) |
         std::int64_t{static_cast<std::uint8_t>(d.fix.source)} << kSourceShift |
         std::int64_t{d.verdict.reasons} << kReasonsShift;
}

/// As SQLite will give it back: it keeps no negative zero, and a height that is not known is no reason to refuse.
double hae_of(const LocatedDetection& d) {
  const double hae_m = d.fix.position.hae_m;
  return !d.fix.hae_known && !std::isfinite(hae_m) ? 0 : hae_m + 0.0;
}

std::optional<double> without_negative_zero(std::optional<double> value) {
  if (value) *value += 0.0;
  return value;
}

bool all_finite(const LocatedDetection& d, const Measures& measures) {
  return std::ranges::all_of(measures, [](double v) { return std::isfinite(v); }) &&
         std::isfinite(d.fix.position.lat_deg) && std::isfinite(d.fix.position.lon_deg) && std::isfinite(hae_of(d)) &&
         std::isfinite(d.ai_confidence) && std::isfinite(d.fix.ce90_m.value_or(0)) &&
         std::isfinite(d.fix.le90_m.value_or(0));
}

std::unexpected<Error> damaged(std::int64_t sequence) {
  return fail(ErrorCode::kInternal, "the record of detection " + std::to_string(sequence) + " is damaged");
}

template <class Bytes>
bool copy_exactly(std::span<const std::uint8_t> from, Bytes& to) {
  if (from.size() != to.size()) return false;
  std::ranges::copy(from, to.begin());
  return true;
}

}  // namespace

MeasureBytes packed_measures(const LocatedDetection& located) {
  return pack(measures_of(located));
}

Result<void> put_columns(const DetectionRow& row, const MeasureBytes& measures, ColumnSink& to) {
  const auto& d = row.located;
  if (!all_finite(d, measures_of(d)))
    return fail(ErrorCode::kInternal, "the store refused a record: a number of it is not finite");
  to.put(row.sequence);
  to.put(d.id.bytes);
  to.put(std::int64_t{static_cast<std::uint8_t>(row.disposition)});
  to.put(std::int64_t{static_cast<std::uint8_t>(d.verdict.flag)});
  to.put(d.observed.count);
  to.put(d.received.count);
  to.put(d.fix.position.lat_deg);
  to.put(d.fix.position.lon_deg);
  to.put(hae_of(d));
  to.put(d.fix.ce90_m);
  to.put(d.fix.le90_m);
  to.put(d.ai_confidence);
  to.put(d.object_class);
  to.put(d.source);
  to.put(d.camera_id);
  to.put(d.track_id);
  to.put(d.cot_uid);
  to.put(d.cot_type);
  to.put(marks_of(d));
  to.put(measures);
  to.put(row.content_sha256);
  to.put(row.accepted_in);
  to.put(row.request_json);
  return {};
}

namespace {

class Parameters final : public ColumnSink {
 public:
  explicit Parameters(Query& q) : q_(q) {}
  using ColumnSink::put;
  void put(std::int64_t value) override { q_.bind(value); }
  void put(double value) override { q_.bind(value); }
  void put(std::string_view text) override { q_.bind(text); }
  void put(std::span<const std::uint8_t> bytes) override { q_.bind(bytes); }
  void put_null() override { q_.bind_null(); }

 private:
  Query& q_;
};

}  // namespace

Result<bool> insert(Database& db, const DetectionRow& row) {
  const auto measures = packed_measures(row.located);
  auto q = db.query("INSERT INTO detection (" DETECTION_INSERT_COLUMNS
                    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING");
  Parameters parameters(q);
  if (auto done = put_columns(row, measures, parameters); !done) return std::unexpected(std::move(done.error()));
  if (auto done = q.run(); !done) return std::unexpected(std::move(done.error()));
  return db.changes() == 1;
}

Sha256 digest(Digest& digest, const DetectionRow& row) {
  const auto& d = row.located;
  return digest.add(row.sequence)
      .add(d.id.bytes)
      .add(std::int64_t{static_cast<std::uint8_t>(row.disposition)})
      .add(std::int64_t{static_cast<std::uint8_t>(d.verdict.flag)})
      .add(d.observed.count)
      .add(d.received.count)
      .add(d.fix.position.lat_deg + 0.0)
      .add(d.fix.position.lon_deg + 0.0)
      .add(hae_of(d))
      .add(without_negative_zero(d.fix.ce90_m))
      .add(without_negative_zero(d.fix.le90_m))
      .add(d.ai_confidence + 0.0)
      .add(d.object_class)
      .add(d.source)
      .add(d.camera_id)
      .add(d.track_id)
      .add(d.cot_uid)
      .add(d.cot_type)
      .add(marks_of(d))
      .add(pack(measures_of(d)))
      .add(row.content_sha256)
      .add(row.accepted_in)
      .add(row.request_json)
      .finish();
}

Result<LocatedDetection> read_located(const Query& q, int first) {
  const auto at = [first](int column) { return first + column; };
  LocatedDetection d;
  const auto flag = q.integer(at(2)), marks = q.integer(at(17));
  const auto source = (marks >> kSourceShift) & 0xff;
  const auto measure_bytes = q.bytes(at(18));
  if (!copy_exactly(q.bytes(at(1)), d.id.bytes) || flag < 0 ||
      flag > std::int64_t{static_cast<std::uint8_t>(Flag::kRed)} ||
      source > std::int64_t{static_cast<std::uint8_t>(PositionSource::kTerrain)} ||
      measure_bytes.size() != kMeasures * 8)
    return damaged(q.integer(at(0)));
  d.verdict.flag = static_cast<Flag>(flag);
  d.verdict.reasons = static_cast<std::uint8_t>(marks >> kReasonsShift);
  d.observed = {q.integer(at(3))};
  d.received = {q.integer(at(4))};
  d.fix.position = {q.real(at(5)), q.real(at(6)), q.real(at(7))};
  if (!q.is_null(at(8))) d.fix.ce90_m = q.real(at(8));
  if (!q.is_null(at(9))) d.fix.le90_m = q.real(at(9));
  d.ai_confidence = q.real(at(10));
  d.object_class = q.text(at(11));
  d.source = q.text(at(12));
  d.camera_id = q.text(at(13));
  if (!q.is_null(at(14))) d.track_id.emplace(q.text(at(14)));
  d.cot_uid = q.text(at(15));
  d.cot_type = q.text(at(16));
  d.exercise = (marks & kExercise) != 0;
  d.fix.hae_known = (marks & kHaeKnown) != 0;
  d.fix.grazing = (marks & kGrazing) != 0;
  d.fix.outside_image = (marks & kOutsideImage) != 0;
  d.fix.source = static_cast<PositionSource>(source);
  const auto m = unpack(measure_bytes);
  d.pixel = {m[0], m[1]};
  d.fix.covariance_enu_m2 = {m[2], m[3], m[4], m[5], m[6], m[7]};
  d.fix.ellipse = {m[8], m[9], m[10], m[11]};
  d.fix.slant_range_m = m[12];
  d.fix.grazing_deg = m[13];
  return d;
}

Result<StoredRow> read_stored(const Query& q, int first) {
  auto located = read_located(q, first);
  if (!located) return std::unexpected(std::move(located.error()));
  const int next = first + kLocatedColumns;
  const auto disposition = q.integer(next);
  StoredRow row;
  row.detection.sequence = q.integer(first);
  if (disposition < 0 || disposition > std::int64_t{static_cast<std::uint8_t>(Disposition::kDiscard)} ||
      !copy_exactly(q.bytes(next + 1), row.detection.content_sha256))
    return damaged(row.detection.sequence);
  row.detection.located = std::move(*located);
  row.detection.disposition = static_cast<Disposition>(disposition);
  row.accepted_in = q.integer(next + 2);
  row.detection.request_json = q.text(next + 3);
  return row;
}

}  // namespace detection::store::sql
