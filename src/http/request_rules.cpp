#include "http/request_rules.hpp"

#include <algorithm>
#include <limits>

#include "http/base64.hpp"
#include "pipeline/normalise.hpp"

namespace detection::http {
namespace {

constexpr double kMax = std::numeric_limits<double>::max();
constexpr double kAboveZero = std::numeric_limits<double>::denorm_min();
constexpr std::chrono::minutes kFutureMost{5};
constexpr double kOutsideImageMost_px = 1;
constexpr std::size_t kFieldNameShown = 128;

constexpr NumberRule kAny{-kMax, kMax, "must be a number"};
constexpr NumberRule kPositive{kAboveZero, kMax, "must be greater than 0"};
constexpr NumberRule kImageSide{1, 100'000, "must be a whole number from 1 to 100000"};
constexpr NumberRule kMetres{0, 1e6, "must be from 0 to 1000000 m"};
constexpr NumberRule kDegrees{0, 360, "must be from 0 to 360 degrees"};

template <class Field>
constexpr std::uint32_t bit(Field field) noexcept {
  return 1U << static_cast<unsigned>(field);
}

bool name_character(char c, bool colon) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || (colon && c == ':');
}

/// At most `most` bytes, cut before a character that would be split.
std::string_view clipped(std::string_view text, std::size_t most) noexcept {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return text.substr(0, most);
}

}  // namespace

const NumberRule kPixelRule{0, kMax, "must be 0 or more"};
const NumberRule kConfidenceRule{0, 1, "must be from 0 to 1"};

const NumberRule& sensor_rule(SensorField field) noexcept {
  static constexpr NumberRule kLat{-90, 90, "must be from -90 to 90 degrees"};
  static constexpr NumberRule kLon{-180, 180, "must be from -180 to 180 degrees"};
  static constexpr NumberRule kElevation{-1'000, 1'000'000, "must be from -1000 to 1000000 m"};
  static constexpr NumberRule kHeading{0, 360, "must be from 0 to 360 degrees"};
  static constexpr NumberRule kFov{0.01, 179, "must be from 0.01 to 179 degrees"};
  static constexpr NumberRule kRange{0.1, 2'000'000, "must be from 0.1 to 2000000 m"};
  static constexpr NumberRule kGround{-1'000, 10'000, "must be from -1000 to 10000 m"};
  switch (field) {
    case SensorField::kLocationLat:
    case SensorField::kPitch: return kLat;
    case SensorField::kLocationLon:
    case SensorField::kRoll: return kLon;
    case SensorField::kLocationElevation: return kElevation;
    case SensorField::kHeading: return kHeading;
    case SensorField::kFocalLength:
    case SensorField::kFocalLengthY:
    case SensorField::kFocalLengthMm:
    case SensorField::kSensorWidthMm: return kPositive;
    case SensorField::kHfovDeg: return kFov;
    case SensorField::kImageWidth:
    case SensorField::kImageHeight: return kImageSide;
    case SensorField::kSlantRange: return kRange;
    case SensorField::kGroundElevation: return kGround;
    case SensorField::kElevationReference:
    case SensorField::kPrincipalPoint:
    case SensorField::kDistortion:
    case SensorField::kAccuracy: break;
  }
  return kAny;
}

const NumberRule& accuracy_rule(std::size_t index) noexcept {
  static constexpr NumberRule kPercent{0, 100, "must be from 0 to 100 %"};
  static constexpr NumberRule kPixels{0, 100'000, "must be from 0 to 100000 px"};
  static constexpr std::array<const NumberRule*, kAccuracyFields.size()> kRules{
      &kMetres, &kMetres, &kMetres, &kDegrees, &kDegrees, &kDegrees, &kPercent, &kPixels, &kMetres};
  return *kRules[index];
}

void FieldErrors::add(std::string_view prefix, std::string_view name, std::string_view message) {
  if (++total_ > kMost) return;
  FieldError& error = list_.emplace_back();
  error.field.append(prefix).append(clipped(name, kFieldNameShown));
  error.message = message;
}

Error FieldErrors::take() {
  const auto total = total_;
  std::string detail = total == 1 ? "one rule is broken" : std::to_string(total) + " rules are broken";
  detail += total > kMost ? ", the first " + std::to_string(kMost) + " are listed in errors" : ": see errors";
  Error error{ErrorCode::kValidationFailed, std::move(detail), std::move(list_)};
  clear();
  return error;
}

bool set_detection_id(Stated& stated, std::string_view text, FieldErrors& errors) {
  stated.detection.id = parse_uuid(text);
  if (!stated.detection.id)
    errors.add({}, "detection_id", "must be a UUID, as in 0198a3c1-7f00-7abc-8def-0123456789ab");
  return stated.detection.id.has_value();
}

bool set_name(std::string& to, TopField field, std::string_view text, FieldErrors& errors) {
  const bool colon = field != TopField::kObjectClass;
  const std::size_t most = colon ? 128 : 64;
  if (text.empty() || text.size() > most ||
      !std::ranges::all_of(text, [&](char c) { return name_character(c, colon); })) {
    errors.add({}, kTopFields[static_cast<std::size_t>(field)],
               colon ? "must be 1 to 128 characters of A-Z a-z 0-9 _ . : -"
                     : "must be 1 to 64 characters of A-Z a-z 0-9 _ . -");
    return false;
  }
  to.assign(text);
  return true;
}

bool set_timestamp(Stated& stated, std::string_view text, const ParseRules& rules, FieldErrors& errors) {
  const auto time = parse_rfc3339(text);
  if (!time) {
    errors.add({}, "timestamp", time.error().detail);
    return false;
  }
  if (*time > rules.now && *time - rules.now > kFutureMost) {
    errors.add({}, "timestamp", "must be at most 5 minutes in the future");
    return false;
  }
  stated.detection.timestamp = *time;
  return true;
}

bool set_anchor(Stated& stated, std::string_view text, FieldErrors& errors) {
  if (text == "center")
    stated.detection.anchor = BoxAnchor::kCenter;
  else if (text == "bottom_center")
    stated.detection.anchor = BoxAnchor::kBottomCenter;
  else {
    errors.add({}, "anchor", "must be bottom_center or center");
    return false;
  }
  return true;
}

bool set_image(Stated& stated, std::string_view base64, FieldErrors& errors) {
  if (base64.size() > base64_bytes(kImageBytesMost)) {
    errors.add({}, "image_base64", "must be at most 8 MB (8388608 bytes) when decoded");
    return false;
  }
  const auto bytes = decode_base64(base64);
  if (!bytes || bytes->empty()) {
    errors.add({}, "image_base64", "must be base64 (RFC 4648 section 4, padded, without line ends), not empty");
    return false;
  }
  if (bytes->size() > kImageBytesMost) {
    errors.add({}, "image_base64", "must be at most 8 MB (8388608 bytes) when decoded");
    return false;
  }
  stated.detection.image_sha256 = pipeline::sha256(*bytes);
  return true;
}

bool set_elevation_reference(Stated& stated, std::string_view text, FieldErrors& errors) {
  auto& reference = stated.detection.sensor.elevation_reference;
  if (text == "agl")
    reference = ElevationReference::kAgl;
  else if (text == "msl")
    reference = ElevationReference::kMsl;
  else if (text == "hae")
    reference = ElevationReference::kHae;
  else {
    errors.add(kSensorPrefix, "elevation_reference", "must be agl, msl or hae");
    return false;
  }
  return true;
}

namespace {

constexpr std::string_view kMissing = "is required";

class Finish {
 public:
  Finish(Stated& stated, FieldErrors& errors) : stated_(stated), errors_(errors) {}

  void required(TopField field) {
    if (!seen(field)) errors_.add({}, kTopFields[static_cast<std::size_t>(field)], kMissing);
  }

  void sensor() {
    using enum SensorField;
    if (!seen(TopField::kSensorMetadata)) {
      errors_.add({}, "sensor_metadata", kMissing);
      return;
    }
    if ((stated_.good & bit(TopField::kSensorMetadata)) == 0) return;  // not an object: said already
    for (const auto field :
         {kLocationLat, kLocationLon, kLocationElevation, kHeading, kPitch, kRoll, kImageWidth, kImageHeight})
      if (!seen(field)) errors_.add(kSensorPrefix, kSensorFields[static_cast<std::size_t>(field)], kMissing);
    focal_length();
    auto& sensor = stated_.detection.sensor;
    sensor.image_width_px = static_cast<std::uint32_t>(stated_.image_width_px);
    sensor.image_height_px = static_cast<std::uint32_t>(stated_.image_height_px);
  }

  void point() {
    using enum TopField;
    const bool pixel = seen(kPixelX) || seen(kPixelY);
    if (pixel && seen(kBbox)) {
      errors_.add({}, "bbox", "give either pixel_x and pixel_y, or bbox");
      return;
    }
    if (seen(kAnchor) && !seen(kBbox)) errors_.add({}, "anchor", "is for bbox only");
    if (seen(kBbox)) {
      if (good(kBbox)) box();
      return;
    }
    if (!pixel) {
      errors_.add({}, "pixel_x", "is required, with pixel_y, or bbox instead of both");
      return;
    }
    required(kPixelX);
    required(kPixelY);
    const auto& point = stated_.detection.pixel;
    if (good(kPixelX) && good(SensorField::kImageWidth) && point.x_px > stated_.image_width_px + kOutsideImageMost_px)
      errors_.add({}, "pixel_x", "must be at most 1 px outside the image (image_width)");
    if (good(kPixelY) && good(SensorField::kImageHeight) && point.y_px > stated_.image_height_px + kOutsideImageMost_px)
      errors_.add({}, "pixel_y", "must be at most 1 px outside the image (image_height)");
  }

 private:
  [[nodiscard]] bool seen(TopField field) const { return (stated_.seen & bit(field)) != 0; }
  [[nodiscard]] bool good(TopField field) const { return (stated_.good & bit(field)) != 0; }
  [[nodiscard]] bool seen(SensorField field) const { return (stated_.sensor_seen & bit(field)) != 0; }
  [[nodiscard]] bool good(SensorField field) const { return (stated_.sensor_good & bit(field)) != 0; }

  void focal_length() {
    using enum SensorField;
    const bool px = seen(kFocalLength), fov = seen(kHfovDeg);
    const bool mm = seen(kFocalLengthMm) || seen(kSensorWidthMm);
    if (px + mm + fov != 1) {
      errors_.add(kSensorPrefix, "focal_length",
                  "exactly one is needed of focal_length, focal_length_mm with sensor_width_mm, hfov_deg");
    } else if (mm) {
      if (!seen(kFocalLengthMm)) errors_.add(kSensorPrefix, "focal_length_mm", "is required with sensor_width_mm");
      if (!seen(kSensorWidthMm)) errors_.add(kSensorPrefix, "sensor_width_mm", "is required with focal_length_mm");
    }
    if (seen(kFocalLengthY) && !px) errors_.add(kSensorPrefix, "focal_length_y", "is for focal_length only");
    stated_.detection.sensor.focal_kind =
        mm ? FocalKind::kMillimetres : (fov ? FocalKind::kHorizontalFov : FocalKind::kPixels);
  }

  void box() {
    const auto [x1, y1, x2, y2] = stated_.bbox;
    if (!(x1 < x2) || !(y1 < y2)) {
      errors_.add({}, "bbox", "must be [x1, y1, x2, y2] with x1 < x2 and y1 < y2");
      return;
    }
    const bool sized = good(SensorField::kImageWidth) && good(SensorField::kImageHeight);
    if (x1 < -kOutsideImageMost_px || y1 < -kOutsideImageMost_px ||
        (sized &&
         (x2 > stated_.image_width_px + kOutsideImageMost_px || y2 > stated_.image_height_px + kOutsideImageMost_px))) {
      errors_.add({}, "bbox", "must be at most 1 px outside the image");
      return;
    }
    stated_.detection.bbox = stated_.bbox;
    const double middle_y = (y1 + y2) / 2;
    stated_.detection.pixel = {(x1 + x2) / 2, stated_.detection.anchor == BoxAnchor::kCenter ? middle_y : y2};
  }

  Stated& stated_;
  FieldErrors& errors_;
};

}  // namespace

void finish(Stated& stated, const ParseRules& rules, FieldErrors& errors) {
  using enum TopField;
  Finish last(stated, errors);
  last.point();
  if (!rules.identity_optional) {
    for (const auto field : {kObjectClass, kAiConfidence, kSource, kCameraId, kTimestamp}) last.required(field);
  } else if ((stated.seen & bit(kAiConfidence)) == 0) {
    stated.detection.ai_confidence = 1;  // nothing is known against it: the flag then says only how good the fix is
  }
  last.sensor();
}

}  // namespace detection::http
