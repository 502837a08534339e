#pragma once
// The rules of a detection request (design.md 4.2): what the fields of detection_fields.hpp must hold, each and between
// them. Knows nothing of JSON's syntax.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detection/detection.hpp"
#include "detection/error.hpp"
#include "http/detection_fields.hpp"
#include "http/detection_json.hpp"

namespace detection::http {

/// The broken rules of one body. Bounded: a body of a million unknown fields does not become an answer of as many.
class FieldErrors {
 public:
  static constexpr std::size_t kMost = 100;
  void add(std::string_view prefix, std::string_view name, std::string_view message);
  [[nodiscard]] bool empty() const noexcept { return total_ == 0; }
  void clear() noexcept {
    list_.clear();
    total_ = 0;
  }
  /// kValidationFailed with all of them.
  [[nodiscard]] Error take();

 private:
  std::vector<FieldError> list_;
  std::size_t total_ = 0;
};

/// In the order in which clients usually write them: the reader looks for the next one first.
enum class TopField : std::uint8_t {
  kDetectionId,
  kPixelX,
  kPixelY,
  kBbox,
  kAnchor,
  kObjectClass,
  kAiConfidence,
  kSource,
  kCameraId,
  kTimestamp,
  kTrackId,
  kExercise,
  kImageBase64,
  kSensorMetadata,
};
inline constexpr auto kTopFields = names_of(kTopTable);

enum class SensorField : std::uint8_t {
  kLocationLat,
  kLocationLon,
  kLocationElevation,
  kElevationReference,
  kHeading,
  kPitch,
  kRoll,
  kFocalLength,
  kFocalLengthY,
  kFocalLengthMm,
  kSensorWidthMm,
  kHfovDeg,
  kImageWidth,
  kImageHeight,
  kPrincipalPoint,
  kDistortion,
  kSlantRange,
  kGroundElevation,
  kAccuracy,
};
inline constexpr auto kSensorFields = names_of(kSensorTable);
inline constexpr auto kDistortionFields = names_of(kDistortionTable);
inline constexpr auto kAccuracyFields = names_of(kAccuracyTable);

[[nodiscard]] constexpr const DetectionField& field_of(TopField field) noexcept {
  return kTopTable[static_cast<std::size_t>(field)];
}
[[nodiscard]] constexpr const DetectionField& field_of(SensorField field) noexcept {
  return kSensorTable[static_cast<std::size_t>(field)];
}

/// A class (1-64 characters), or with a colon allowed any other name (1-128).
[[nodiscard]] bool is_name(std::string_view text, bool colon) noexcept;

inline constexpr std::string_view kSensorPrefix = "sensor_metadata.";
inline constexpr std::string_view kAccuracyPrefix = "sensor_metadata.accuracy.";
inline constexpr std::string_view kDistortionPrefix = "sensor_metadata.distortion.";

/// What a body states, field by field: `seen` marks the fields that were there, `good` those that held their own rule.
struct Stated {
  Detection detection{};
  std::array<double, 4> bbox{};
  double image_width_px = 0, image_height_px = 0;
  std::uint32_t seen = 0, good = 0;                ///< bits by TopField
  std::uint32_t sensor_seen = 0, sensor_good = 0;  ///< bits by SensorField
};

// Each checks one value of text and stores it; adds to `errors` and is false otherwise.
[[nodiscard]] bool set_detection_id(Stated& stated, std::string_view text, FieldErrors& errors);
[[nodiscard]] bool set_name(std::string& to, TopField field, std::string_view text, FieldErrors& errors);
[[nodiscard]] bool set_timestamp(Stated& stated, std::string_view text, const ParseRules& rules, FieldErrors& errors);
[[nodiscard]] bool set_anchor(Stated& stated, std::string_view text, FieldErrors& errors);
[[nodiscard]] bool set_image(Stated& stated, std::string_view base64, FieldErrors& errors);
[[nodiscard]] bool set_elevation_reference(Stated& stated, std::string_view text, FieldErrors& errors);

/// What must hold between fields, and which are missing. Fills the detection's point; call once, last.
void finish(Stated& stated, const ParseRules& rules, FieldErrors& errors);

}  // namespace detection::http
