#pragma once
// The rules of a detection request (design.md 4.2): which fields there are, their ranges, and what must hold between
// them. Knows nothing of JSON's syntax.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detection/detection.hpp"
#include "detection/error.hpp"
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
inline constexpr std::array<std::string_view, 14> kTopFields{
    "detection_id", "pixel_x",   "pixel_y",   "bbox",     "anchor",   "object_class", "ai_confidence",
    "source",       "camera_id", "timestamp", "track_id", "exercise", "image_base64", "sensor_metadata"};

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
inline constexpr std::array<std::string_view, 19> kSensorFields{"location_lat",
                                                                "location_lon",
                                                                "location_elevation",
                                                                "elevation_reference",
                                                                "heading",
                                                                "pitch",
                                                                "roll",
                                                                "focal_length",
                                                                "focal_length_y",
                                                                "focal_length_mm",
                                                                "sensor_width_mm",
                                                                "hfov_deg",
                                                                "image_width",
                                                                "image_height",
                                                                "principal_point",
                                                                "distortion",
                                                                "slant_range_m",
                                                                "ground_elevation_m",
                                                                "accuracy"};

inline constexpr std::array<std::string_view, 9> kAccuracyFields{"horizontal_m",  "vertical_m", "ground_m",
                                                                 "heading_deg",   "pitch_deg",  "roll_deg",
                                                                 "focal_percent", "pixel_px",   "slant_range_m"};

inline constexpr std::string_view kSensorPrefix = "sensor_metadata.";
inline constexpr std::string_view kAccuracyPrefix = "sensor_metadata.accuracy.";
inline constexpr std::string_view kDistortionPrefix = "sensor_metadata.distortion.";
inline constexpr std::size_t kImageBytesMost = 8u << 20;  ///< decoded

/// A number's range; the message says it.
struct NumberRule {
  double least;
  double most;
  std::string_view message;
  [[nodiscard]] constexpr bool holds(double value) const noexcept { return value >= least && value <= most; }
};
/// By SensorField and by index of kAccuracyFields; fields that are no numbers have the whole line as their range.
[[nodiscard]] const NumberRule& sensor_rule(SensorField field) noexcept;
[[nodiscard]] const NumberRule& accuracy_rule(std::size_t index) noexcept;
extern const NumberRule kPixelRule;
extern const NumberRule kConfidenceRule;

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
