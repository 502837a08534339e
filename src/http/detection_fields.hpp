#pragma once
// The fields of a detection request, once (design.md 4.2): the reader checks by these tables, and /openapi.json is
// written from them (open_api.cpp), so that the two cannot differ.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace detection::http {

enum class ValueKind : std::uint8_t {
  kUuid,
  kNumber,
  kWhole,
  kName,
  kWord,
  kTime,
  kBoolean,
  kNumbers,
  kBase64,
  kObject
};

inline constexpr double kNumberMost = std::numeric_limits<double>::max();
inline constexpr double kAboveZero = std::numeric_limits<double>::denorm_min();

/// A number's range; the message says it. The whole line where a field has none.
struct NumberRule {
  double least = -kNumberMost;
  double most = kNumberMost;
  std::string_view message = "must be a number";
  [[nodiscard]] constexpr bool holds(double value) const noexcept { return value >= least && value <= most; }
};

struct DetectionField {
  std::string_view name;
  ValueKind kind;
  bool required = false;
  NumberRule range{};                           ///< of a number; of a text or array only its message counts
  std::size_t count_least = 0, count_most = 0;  ///< characters of a text, numbers of an array
  std::string_view pattern{};                   ///< of a text, ECMA-262
  std::span<const std::string_view> words{};    ///< kWord, in the order of their enum
  std::string_view description{};
  std::string_view example_json{};
  std::string_view default_json{};
};

// What a name may be; is_name() (request_rules.hpp) says the same as the patterns.
inline constexpr std::size_t kClassCharactersMost = 64, kNameCharactersMost = 128;
inline constexpr std::string_view kClassPattern = "^[A-Za-z0-9_.-]+$", kNamePattern = "^[A-Za-z0-9_.:-]+$";
inline constexpr std::string_view kUuidPattern =
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";
inline constexpr std::string_view kBase64Pattern =
    "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";
inline constexpr std::size_t kImageBytesMost = 8u << 20;  ///< decoded

inline constexpr std::array<std::string_view, 2> kAnchors{"bottom_center", "center"};
inline constexpr std::array<std::string_view, 3> kElevationReferences{"agl", "msl", "hae"};
inline constexpr std::array<std::string_view, 2> kDistortionModels{"brown", "fisheye"};

/// In the order in which clients usually write them: the reader looks for the next one first. As enum TopField.
inline constexpr std::array<DetectionField, 14> kTopTable{{
    {.name = "detection_id",
     .kind = ValueKind::kUuid,
     .range = {.message = "must be a UUID, as in 0198a3c1-7f00-7abc-8def-0123456789ab"},
     .description = "The caller's own id, so that sending again is safe; minted where it is absent. Idempotency-Key "
                    "says the same.",
     .example_json = R"("0198a3c1-7f00-7abc-8def-0123456789ab")"},
    {.name = "pixel_x",
     .kind = ValueKind::kNumber,
     .range = {.least = 0, .message = "must be 0 or more"},
     .description =
         "Pixels from the left edge of the image, at most 1 px outside it. With pixel_y; or bbox instead of both.",
     .example_json = "512"},
    {.name = "pixel_y",
     .kind = ValueKind::kNumber,
     .range = {.least = 0, .message = "must be 0 or more"},
     .description = "Pixels from the upper edge of the image, at most 1 px outside it.",
     .example_json = "384"},
    {.name = "bbox",
     .kind = ValueKind::kNumbers,
     .range = {.message = "must be [x1, y1, x2, y2]"},
     .count_least = 4,
     .count_most = 4,
     .description = "[x1, y1, x2, y2] in pixels with x1 < x2 and y1 < y2, at most 1 px outside the image; in place of "
                    "pixel_x and pixel_y.",
     .example_json = "[480, 350, 544, 384]"},
    {.name = "anchor",
     .kind = ValueKind::kWord,
     .range = {.message = "must be bottom_center or center"},
     .words = kAnchors,
     .description = "Which point of bbox touches the ground; with bbox only.",
     .example_json = R"("bottom_center")",
     .default_json = R"("bottom_center")"},
    {.name = "object_class",
     .kind = ValueKind::kName,
     .required = true,
     .range = {.message = "must be 1 to 64 characters of A-Z a-z 0-9 _ . -"},
     .count_least = 1,
     .count_most = kClassCharactersMost,
     .pattern = kClassPattern,
     .description = "What was detected.",
     .example_json = R"("vehicle")"},
    {.name = "ai_confidence",
     .kind = ValueKind::kNumber,
     .required = true,
     .range = {0, 1, "must be from 0 to 1"},
     .description = "The detector's own confidence.",
     .example_json = "0.92"},
    {.name = "source",
     .kind = ValueKind::kName,
     .required = true,
     .range = {.message = "must be 1 to 128 characters of A-Z a-z 0-9 _ . : -"},
     .count_least = 1,
     .count_most = kNameCharactersMost,
     .pattern = kNamePattern,
     .description = "Who reports: the platform.",
     .example_json = R"("uav-7")"},
    {.name = "camera_id",
     .kind = ValueKind::kName,
     .required = true,
     .range = {.message = "must be 1 to 128 characters of A-Z a-z 0-9 _ . : -"},
     .count_least = 1,
     .count_most = kNameCharactersMost,
     .pattern = kNamePattern,
     .description = "Which of its cameras.",
     .example_json = R"("eo-1")"},
    {.name = "timestamp",
     .kind = ValueKind::kTime,
     .required = true,
     .range = {.message = "must be at most 5 minutes in the future"},
     .description = "When the image was taken: RFC 3339 with an offset, from 1970 on, at most 5 minutes in the future.",
     .example_json = R"("2026-11-23T19:04:05.123Z")"},
    {.name = "track_id",
     .kind = ValueKind::kName,
     .range = {.message = "must be 1 to 128 characters of A-Z a-z 0-9 _ . : -"},
     .count_least = 1,
     .count_most = kNameCharactersMost,
     .pattern = kNamePattern,
     .description = "The detector's track: all detections of one move one symbol on the map.",
     .example_json = R"("track-17")"},
    {.name = "exercise",
     .kind = ValueKind::kBoolean,
     .range = {.message = "must be true or false"},
     .description = "Goes to no TAK server.",
     .example_json = "false",
     .default_json = "false"},
    {.name = "image_base64",
     .kind = ValueKind::kBase64,
     .range = {.message = "must be base64 (RFC 4648 section 4, padded, without line ends), not empty"},
     .count_least = 4,
     .count_most = (kImageBytesMost + 2) / 3 * 4,
     .pattern = kBase64Pattern,
     .description = "The image, at most 8 MB (8388608 bytes) decoded; only its SHA-256 is recorded.",
     .example_json = R"("/9j/2wBD")"},
    {.name = "sensor_metadata",
     .kind = ValueKind::kObject,
     .required = true,
     .range = {.message = "must be an object"},
     .description = "Where the camera was, where it looked, and its lens."},
}};

inline constexpr NumberRule kPositiveRule{.least = kAboveZero, .message = "must be greater than 0"};
inline constexpr NumberRule kImageSideRule{1, 100'000, "must be a whole number from 1 to 100000"};

/// sensor_metadata; as enum SensorField.
inline constexpr std::array<DetectionField, 19> kSensorTable{{
    {.name = "location_lat",
     .kind = ValueKind::kNumber,
     .required = true,
     .range = {-90, 90, "must be from -90 to 90 degrees"},
     .description = "Degrees, WGS 84.",
     .example_json = "48.1"},
    {.name = "location_lon",
     .kind = ValueKind::kNumber,
     .required = true,
     .range = {-180, 180, "must be from -180 to 180 degrees"},
     .description = "Degrees, WGS 84.",
     .example_json = "11.5"},
    {.name = "location_elevation",
     .kind = ValueKind::kNumber,
     .required = true,
     .range = {-1'000, 1'000'000, "must be from -1000 to 1000000 m"},
     .description = "Metres, counted from what elevation_reference says.",
     .example_json = "620.5"},
    {.name = "elevation_reference",
     .kind = ValueKind::kWord,
     .range = {.message = "must be agl, msl or hae"},
     .words = kElevationReferences,
     .description = "Above the ground, above mean sea level (EGM96) or above the ellipsoid. msl and hae need "
                    "ground_elevation_m, slant_range_m or a terrain model.",
     .example_json = R"("hae")",
     .default_json = R"("agl")"},
    {.name = "heading",
     .kind = ValueKind::kNumber,
     .required = true,
     .range = {0, 360, "must be from 0 to 360 degrees"},
     .description = "Degrees clockwise from true north.",
     .example_json = "90"},
    {.name = "pitch",
     .kind = ValueKind::kNumber,
     .required = true,
     .range = {-90, 90, "must be from -90 to 90 degrees"},
     .description = "Degrees; down is negative, -90 is nadir.",
     .example_json = "-60"},
    {.name = "roll",
     .kind = ValueKind::kNumber,
     .required = true,
     .range = {-180, 180, "must be from -180 to 180 degrees"},
     .description = "Degrees; right side down is positive.",
     .example_json = "0.5"},
    {.name = "focal_length",
     .kind = ValueKind::kNumber,
     .range = kPositiveRule,
     .description = "Pixels. Exactly one of this, focal_length_mm with sensor_width_mm, and hfov_deg.",
     .example_json = "2000"},
    {.name = "focal_length_y",
     .kind = ValueKind::kNumber,
     .range = kPositiveRule,
     .description = "Pixels, where they are not square; with focal_length only.",
     .example_json = "2000"},
    {.name = "focal_length_mm",
     .kind = ValueKind::kNumber,
     .range = kPositiveRule,
     .description = "Millimetres; with sensor_width_mm.",
     .example_json = "35"},
    {.name = "sensor_width_mm",
     .kind = ValueKind::kNumber,
     .range = kPositiveRule,
     .description = "Millimetres; with focal_length_mm.",
     .example_json = "36"},
    {.name = "hfov_deg",
     .kind = ValueKind::kNumber,
     .range = {0.01, 179, "must be from 0.01 to 179 degrees"},
     .description = "Horizontal field of view in degrees.",
     .example_json = "50"},
    {.name = "image_width",
     .kind = ValueKind::kWhole,
     .required = true,
     .range = kImageSideRule,
     .description = "Pixels.",
     .example_json = "1920"},
    {.name = "image_height",
     .kind = ValueKind::kWhole,
     .required = true,
     .range = kImageSideRule,
     .description = "Pixels.",
     .example_json = "1080"},
    {.name = "principal_point",
     .kind = ValueKind::kNumbers,
     .range = {.message = "must be [x, y] in pixels"},
     .count_least = 2,
     .count_most = 2,
     .description = "[x, y] in pixels; the middle of the image where it is absent.",
     .example_json = "[960, 540]"},
    {.name = "distortion", .kind = ValueKind::kObject, .description = "Of the lens, by OpenCV's models."},
    {.name = "slant_range_m",
     .kind = ValueKind::kNumber,
     .range = {0.1, 2'000'000, "must be from 0.1 to 2000000 m"},
     .description = "Measured distance to the object; decides where it is given.",
     .example_json = "850"},
    {.name = "ground_elevation_m",
     .kind = ValueKind::kNumber,
     .range = {-1'000, 10'000, "must be from -1000 to 10000 m"},
     .description = "Height of the ground above the ellipsoid.",
     .example_json = "500"},
    {.name = "accuracy",
     .kind = ValueKind::kObject,
     .description = "One standard deviation of each input; what is not stated takes the service's default."},
}};

/// sensor_metadata.distortion.
inline constexpr std::array<DetectionField, 2> kDistortionTable{{
    {.name = "model",
     .kind = ValueKind::kWord,
     .required = true,
     .range = {.message = "must be brown or fisheye"},
     .words = kDistortionModels,
     .description = "brown: k1 k2 p1 p2 [k3 [k4 k5 k6]]; fisheye: k1 k2 k3 k4.",
     .example_json = R"("brown")"},
    {.name = "coefficients",
     .kind = ValueKind::kNumbers,
     .required = true,
     .range = {.message = "must be 4, 5 or 8 numbers for brown, 4 for fisheye"},
     .count_least = 4,
     .count_most = 8,
     .description = "In OpenCV's order: 4, 5 or 8 numbers for brown, 4 for fisheye.",
     .example_json = "[-0.1, 0.01, 0, 0]"},
}};

inline constexpr NumberRule kDeviationRule_m{0, 1e6, "must be from 0 to 1000000 m"};
inline constexpr NumberRule kDeviationRule_deg{0, 360, "must be from 0 to 360 degrees"};

/// sensor_metadata.accuracy.
inline constexpr std::array<DetectionField, 9> kAccuracyTable{{
    {.name = "horizontal_m",
     .kind = ValueKind::kNumber,
     .range = kDeviationRule_m,
     .description = "Of the camera's place.",
     .example_json = "3"},
    {.name = "vertical_m",
     .kind = ValueKind::kNumber,
     .range = kDeviationRule_m,
     .description = "Of the camera's height.",
     .example_json = "3"},
    {.name = "ground_m",
     .kind = ValueKind::kNumber,
     .range = kDeviationRule_m,
     .description = "Of the ground's height.",
     .example_json = "2.4"},
    {.name = "heading_deg", .kind = ValueKind::kNumber, .range = kDeviationRule_deg, .example_json = "2"},
    {.name = "pitch_deg", .kind = ValueKind::kNumber, .range = kDeviationRule_deg, .example_json = "0.5"},
    {.name = "roll_deg", .kind = ValueKind::kNumber, .range = kDeviationRule_deg, .example_json = "0.5"},
    {.name = "focal_percent",
     .kind = ValueKind::kNumber,
     .range = {0, 100, "must be from 0 to 100 %"},
     .description = "Of the focal length.",
     .example_json = "0.5"},
    {.name = "pixel_px",
     .kind = ValueKind::kNumber,
     .range = {0, 100'000, "must be from 0 to 100000 px"},
     .description = "Of the point in the image.",
     .example_json = "2"},
    {.name = "slant_range_m", .kind = ValueKind::kNumber, .range = kDeviationRule_m, .example_json = "1"},
}};

template <std::size_t N>
[[nodiscard]] constexpr std::array<std::string_view, N> names_of(const std::array<DetectionField, N>& table) noexcept {
  std::array<std::string_view, N> names{};
  for (std::size_t i = 0; i < N; ++i) names[i] = table[i].name;
  return names;
}
/// Bits by index of the table.
template <std::size_t N>
[[nodiscard]] constexpr std::uint32_t required_of(const std::array<DetectionField, N>& table) noexcept {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < N; ++i)
    if (table[i].required) bits |= 1U << i;
  return bits;
}

}  // namespace detection::http
