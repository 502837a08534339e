#include "http/request_rules.hpp"

#include <algorithm>
#include <span>

#include "http/base64.hpp"
#include "pipeline/normalise.hpp"

namespace detection::http {
namespace {

constexpr std::chrono::minutes kFutureMost{5};
constexpr double kOutsideImageMost_px = 1;
constexpr std::size_t kFieldNameShown = 128;

template <class Field>
constexpr std::uint32_t bit(Field field) noexcept {
  return 1U << static_cast<unsigned>(field);
}

bool name_character(char c, bool colon) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || (colon && c == ':');
}

/// Index of the word, or the size of the list.
constexpr std::size_t word_at(std::span<const std::string_view> words, std::string_view text) noexcept {
  return static_cast<std::size_t>(std::ranges::find(words, text) - words.begin());
}

void broken(TopField field, FieldErrors& errors) {
  errors.add({}, field_of(field).name, field_of(field).range.message);
}

/// At most `most` bytes, cut before a character that would be split.
std::string_view clipped(std::string_view text, std::size_t most) noexcept {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return text.substr(0, most);
}

}  // namespace

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

bool is_name(std::string_view text, bool colon) noexcept {
  return !text.empty() && text.size() <= (colon ? kNameCharactersMost : kClassCharactersMost) &&
         std::ranges::all_of(text, [colon](char c) { return name_character(c, colon); });
}

bool set_detection_id(Stated& stated, std::string_view text, FieldErrors& errors) {
  stated.detection.id = parse_uuid(text);
  if (!stated.detection.id) broken(TopField::kDetectionId, errors);
  return stated.detection.id.has_value();
}

bool set_name(std::string& to, TopField field, std::string_view text, FieldErrors& errors) {
  const bool colon = field != TopField::kObjectClass;
  if (!is_name(text, colon)) {
    broken(field, errors);
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
    broken(TopField::kTimestamp, errors);
    return false;
  }
  stated.detection.timestamp = *time;
  return true;
}

bool set_anchor(Stated& stated, std::string_view text, FieldErrors& errors) {
  static_assert(word_at(kAnchors, "center") == static_cast<std::size_t>(BoxAnchor::kCenter));
  const auto index = word_at(kAnchors, text);
  if (index == kAnchors.size()) {
    broken(TopField::kAnchor, errors);
    return false;
  }
  stated.detection.anchor = static_cast<BoxAnchor>(index);
  return true;
}

bool set_image(Stated& stated, std::string_view base64, FieldErrors& errors) {
  if (base64.size() > base64_bytes(kImageBytesMost)) {
    errors.add({}, "image_base64", "must be at most 8 MB (8388608 bytes) when decoded");
    return false;
  }
  const auto bytes = decode_base64(base64);
  if (!bytes || bytes->empty()) {
    broken(TopField::kImageBase64, errors);
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
  static_assert(word_at(kElevationReferences, "msl") == static_cast<std::size_t>(ElevationReference::kMsl));
  static_assert(word_at(kElevationReferences, "hae") == static_cast<std::size_t>(ElevationReference::kHae));
  const auto index = word_at(kElevationReferences, text);
  if (index == kElevationReferences.size()) {
    errors.add(kSensorPrefix, "elevation_reference", field_of(SensorField::kElevationReference).range.message);
    return false;
  }
  stated.detection.sensor.elevation_reference = static_cast<ElevationReference>(index);
  return true;
}

namespace {

constexpr std::string_view kMissing = "is required";

class Finish {
 public:
  Finish(Stated& stated, FieldErrors& errors) : stated_(stated), errors_(errors) {}

  void required(TopField field) {
    if (!seen(field)) errors_.add({}, field_of(field).name, kMissing);
  }

  template <std::size_t N>
  void missing(const std::array<DetectionField, N>& table, std::uint32_t there, std::string_view prefix) {
    const auto absent = required_of(table) & ~there;
    if (absent == 0) return;
    for (std::size_t i = 0; i < N; ++i)
      if ((absent & bit(i)) != 0) errors_.add(prefix, table[i].name, kMissing);
  }

  void sensor() {
    if ((stated_.good & bit(TopField::kSensorMetadata)) == 0) return;  // not an object: said already
    missing(kSensorTable, stated_.sensor_seen, kSensorPrefix);
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
    last.missing(kTopTable, stated.seen, {});
  } else {
    // Nothing is known against it: the flag then says only how good the fix is.
    if ((stated.seen & bit(kAiConfidence)) == 0) stated.detection.ai_confidence = 1;
    last.required(kSensorMetadata);
  }
  last.sensor();
}

}  // namespace detection::http
