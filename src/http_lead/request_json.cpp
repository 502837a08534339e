// The only file that sees simdjson (its compile cost: reference cpp.md section 2). The DOM is used rather than
// on-demand: it validates the whole text first, so that nothing unread passes.

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "http/detection_json.hpp"
#include "http/field_rules.hpp"

namespace detection::http {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

constexpr std::size_t kDepthMost = 16;
constexpr std::size_t kImageBytesMost = 8'000'000;
constexpr std::chrono::minutes kFutureMost{5};
constexpr std::string_view kWordCharacters = "_.-";
constexpr std::string_view kNameCharacters = "_.:-";

/// What was met of an object's members: a second one of a name makes the text malformed.
class Seen {
 public:
  /// False when it was there before.
  bool first(unsigned bit) {
    const std::uint64_t mask = std::uint64_t{1} << bit;
    const bool fresh = (bits_ & mask) == 0;
    bits_ |= mask;
    return fresh;
  }
  [[nodiscard]] bool has(unsigned bit) const { return (bits_ >> bit & 1) != 0; }

 private:
  std::uint64_t bits_ = 0;
};

/// Thrown within this file only, when the text itself is not strict JSON.
struct Malformed {
  std::string why;
};

template <std::size_t N>
unsigned index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  for (unsigned i = 0; i < N; ++i)
    if (names[i] == name) return i;
  return N;
}

/// Strings that simdjson lets pass: NUL, and halves of surrogate pairs. Only escapes can make them.
void check_texts(const element& value) {
  const auto check = [](std::string_view text) {
    if (text.find('\0') != std::string_view::npos) throw Malformed{"a string holds a NUL character"};
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
      if (text[i] == '\xed' && (static_cast<unsigned char>(text[i + 1]) & 0xe0U) == 0xa0)
        throw Malformed{"a string holds half of a surrogate pair"};
  };
  switch (value.type()) {
    case element_type::STRING: check(std::string_view(value)); break;
    case element_type::ARRAY:
      for (const auto child : simdjson::dom::array(value)) check_texts(child);
      break;
    case element_type::OBJECT:
      for (const auto member : object(value)) {
        check(member.key);
        check_texts(member.value);
      }
      break;
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
    case element_type::BOOL:
    case element_type::NULL_VALUE: break;
  }
}

std::optional<double> as_number(const element& value) {
  double number = 0;
  switch (value.type()) {
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      if (value.get(number) == simdjson::SUCCESS) return number;
      break;
    case element_type::STRING:
    case element_type::ARRAY:
    case element_type::OBJECT:
    case element_type::BOOL:
    case element_type::NULL_VALUE: break;
  }
  return std::nullopt;
}

/// Reads one detection and collects what is wrong with it.
class DetectionReader {
 public:
  explicit DetectionReader(const ParseRules& rules) : rules_(rules) {}

  Result<Detection> read(const element& document) {
    if (document.type() != element_type::OBJECT) {
      complaints_.add("", "a detection is a JSON object");
    } else {
      read_members(object(document));
      check_whole();
    }
    if (complaints_.none()) return std::move(detection_);
    return fail(ErrorCode::kValidationFailed, "the detection breaks the rules that are listed", complaints_.take());
  }

 private:
  enum Top : unsigned {
    kId,
    kPixelX,
    kPixelY,
    kBox,
    kAnchor,
    kClass,
    kConfidence,
    kSource,
    kCamera,
    kTimestamp,
    kTrack,
    kExercise,
    kImage,
    kSensor,
    kTopCount
  };
  static constexpr std::array<std::string_view, kTopCount> kTopNames{
      "detection_id", "pixel_x",   "pixel_y",   "bbox",     "anchor",   "object_class", "ai_confidence",
      "source",       "camera_id", "timestamp", "track_id", "exercise", "image_base64", "sensor_metadata"};

  enum Sensor : unsigned {
    kLat,
    kLon,
    kElevation,
    kReference,
    kHeading,
    kPitch,
    kRoll,
    kFocal,
    kFocalY,
    kFocalMm,
    kSensorWidth,
    kHfov,
    kWidth,
    kHeight,
    kPrincipal,
    kDistortion,
    kSlant,
    kGround,
    kAccuracy,
    kSensorCount
  };
  static constexpr std::array<std::string_view, kSensorCount> kSensorNames{"location_lat",
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

  [[nodiscard]] std::string path(std::string_view name) const { return prefix_ + std::string(name); }

  template <std::size_t N, class Read>
  void members(const object& from, const std::array<std::string_view, N>& names, Seen& seen, Read read) {
    for (const auto member : from) {
      const unsigned index = index_of(names, member.key);
      if (index == N) {
        complaints_.add(path(member.key), "is not a field of a detection");
        continue;
      }
      if (!seen.first(index)) throw Malformed{"the member " + path(member.key) + " stands there twice"};
      read(index, member.value);
    }
  }

  void require(const Seen& seen, unsigned bit, std::string_view name) {
    if (!seen.has(bit)) complaints_.add(path(name), "is required");
  }

  std::optional<double> number(const element& value, std::string_view name, double least, double most) {
    const auto read = as_number(value);
    if (read && *read >= least && *read <= most) return read;
    complaints_.add(path(name), "must be a number from " + number_text(least) + " to " + number_text(most));
    return std::nullopt;
  }

  void number_into(double& out, const element& value, std::string_view name, double least, double most) {
    if (const auto read = number(value, name, least, most)) out = *read;
  }

  void positive_into(double& out, const element& value, std::string_view name, double most) {
    const auto read = as_number(value);
    if (read && *read > 0 && *read <= most)
      out = *read;
    else
      complaints_.add(path(name), "must be a number over 0 and at most " + number_text(most));
  }

  void whole_into(std::uint32_t& out, const element& value, std::string_view name) {
    const auto read = as_number(value);
    if (read && *read >= 1 && *read <= 100'000 && *read == std::floor(*read))
      out = static_cast<std::uint32_t>(*read);
    else
      complaints_.add(path(name), "must be a whole number from 1 to 100000");
  }

  std::optional<std::string_view> text(const element& value, std::string_view name) {
    if (value.type() == element_type::STRING) return std::string_view(value);
    complaints_.add(path(name), "must be a string");
    return std::nullopt;
  }

  void name_into(std::string& out, const element& value, std::string_view name, std::size_t most,
                 std::string_view others) {
    const auto read = text(value, name);
    if (!read) return;
    if (auto wrong = check_name(*read, most, others))
      complaints_.add(path(name), std::move(*wrong));
    else
      out = *read;
  }

  /// An array of numbers within [-most, most]; nothing (and a complaint) for anything else.
  std::optional<std::size_t> numbers_into(std::span<double> out, const element& value, std::string_view name,
                                          double most, std::string_view what) {
    if (value.type() == element_type::ARRAY) {
      std::size_t count = 0;
      bool good = true;
      for (const auto child : simdjson::dom::array(value)) {
        const auto read = as_number(child);
        good = good && read && std::abs(*read) <= most && count < out.size();
        if (good) out[count] = *read;
        ++count;
      }
      if (good) return count;
    }
    complaints_.add(path(name), std::string(what));
    return std::nullopt;
  }

  void read_members(const object& from) {
    members(from, kTopNames, top_, [&](unsigned index, const element& value) { read_top(index, value); });
    if (!rules_.identity_optional) {
      require(top_, kClass, "object_class");
      require(top_, kConfidence, "ai_confidence");
      require(top_, kSource, "source");
      require(top_, kCamera, "camera_id");
      require(top_, kTimestamp, "timestamp");
    } else if (!top_.has(kConfidence)) {
      detection_.ai_confidence = 1;  // the flag then speaks of the position alone
    }
    require(top_, kSensor, "sensor_metadata");
  }

  void read_top(unsigned index, const element& value) {
    const auto name = kTopNames[index];
    switch (index) {
      case kId: read_id(value); break;
      case kPixelX: number_into(detection_.pixel.x_px, value, name, 0, 100'001); break;
      case kPixelY: number_into(detection_.pixel.y_px, value, name, 0, 100'001); break;
      case kBox: read_box(value); break;
      case kAnchor: read_anchor(value); break;
      case kClass: name_into(detection_.object_class, value, name, 64, kWordCharacters); break;
      case kConfidence: number_into(detection_.ai_confidence, value, name, 0, 1); break;
      case kSource: name_into(detection_.source, value, name, 128, kNameCharacters); break;
      case kCamera: name_into(detection_.camera_id, value, name, 128, kNameCharacters); break;
      case kTimestamp: read_timestamp(value); break;
      case kTrack: name_into(detection_.track_id.emplace(), value, name, 128, kNameCharacters); break;
      case kExercise:
        if (value.type() == element_type::BOOL)
          detection_.exercise = bool(value);
        else
          complaints_.add(path(name), "must be true or false");
        break;
      case kImage: read_image(value); break;
      case kSensor: read_sensor(value); break;
      default: break;
    }
  }

  void read_id(const element& value) {
    const auto read = text(value, "detection_id");
    if (!read) return;
    detection_.id = parse_uuid(*read);
    if (!detection_.id) complaints_.add("detection_id", "must be a UUID, as in 0198a3c1-7f00-7abc-8def-0123456789ab");
  }

  void read_box(const element& value) {
    std::array<double, 4> box{};
    const auto count = numbers_into(box, value, "bbox", 100'001, "must be [x1, y1, x2, y2] in pixels");
    if (!count) return;
    if (*count != 4 || !(box[0] < box[2]) || !(box[1] < box[3]))
      complaints_.add("bbox", "must be [x1, y1, x2, y2] with x1 < x2 and y1 < y2");
    else
      detection_.bbox = box;
  }

  void read_anchor(const element& value) {
    const auto read = text(value, "anchor");
    if (!read) return;
    if (*read == "bottom_center")
      detection_.anchor = BoxAnchor::kBottomCenter;
    else if (*read == "center")
      detection_.anchor = BoxAnchor::kCenter;
    else
      complaints_.add("anchor", "must be bottom_center or center");
  }

  void read_timestamp(const element& value) {
    const auto read = text(value, "timestamp");
    if (!read) return;
    const auto time = parse_rfc3339(*read);
    if (!time)
      complaints_.add("timestamp", time.error().detail);
    else if (*time > rules_.now + kFutureMost)
      complaints_.add("timestamp", "must be at most 5 minutes in the future");
    else
      detection_.timestamp = *time;
  }

  void read_image(const element& value) {
    const auto read = text(value, "image_base64");
    if (!read) return;
    auto hash = hash_of_base64(*read, kImageBytesMost);
    if (hash)
      detection_.image_sha256 = *hash;
    else
      complaints_.add("image_base64", std::move(hash.error()));
  }

  void read_sensor(const element& value) {
    if (value.type() != element_type::OBJECT) {
      complaints_.add("sensor_metadata", "must be an object");
      return;
    }
    prefix_ = "sensor_metadata.";
    members(object(value), kSensorNames, sensor_, [&](unsigned index, const element& v) { read_sensor(index, v); });
    for (const auto bit : {kLat, kLon, kElevation, kHeading, kPitch, kRoll, kWidth, kHeight})
      require(sensor_, bit, kSensorNames[bit]);
    check_focal();
    prefix_.clear();
  }

  void read_sensor(unsigned index, const element& value) {
    auto& sensor = detection_.sensor;
    const auto name = kSensorNames[index];
    switch (index) {
      case kLat: number_into(sensor.location_lat_deg, value, name, -90, 90); break;
      case kLon: number_into(sensor.location_lon_deg, value, name, -180, 180); break;
      case kElevation: number_into(sensor.location_elevation_m, value, name, -1'000, 1'000'000); break;
      case kReference: read_reference(value); break;
      case kHeading: number_into(sensor.attitude.heading_deg, value, name, 0, 360); break;
      case kPitch: number_into(sensor.attitude.pitch_deg, value, name, -90, 90); break;
      case kRoll: number_into(sensor.attitude.roll_deg, value, name, -180, 180); break;
      case kFocal: positive_into(sensor.focal_length_px, value, name, 1e9); break;
      case kFocalY: positive_into(sensor.focal_length_y_px.emplace(), value, name, 1e9); break;
      case kFocalMm: positive_into(sensor.focal_length_mm, value, name, 1e6); break;
      case kSensorWidth: positive_into(sensor.sensor_width_mm, value, name, 1e6); break;
      case kHfov: number_into(sensor.hfov_deg, value, name, 0.01, 179); break;
      case kWidth: whole_into(sensor.image_width_px, value, name); break;
      case kHeight: whole_into(sensor.image_height_px, value, name); break;
      case kPrincipal: read_principal(value); break;
      case kDistortion: read_distortion(value); break;
      case kSlant: sensor.slant_range_m = number(value, name, 0.1, 2'000'000); break;
      case kGround: sensor.ground_elevation_m = number(value, name, -1'000, 10'000); break;
      case kAccuracy: read_accuracy(value); break;
      default: break;
    }
  }

  void read_reference(const element& value) {
    const auto read = text(value, "elevation_reference");
    if (!read) return;
    auto& reference = detection_.sensor.elevation_reference;
    if (*read == "agl")
      reference = ElevationReference::kAgl;
    else if (*read == "msl")
      reference = ElevationReference::kMsl;
    else if (*read == "hae")
      reference = ElevationReference::kHae;
    else
      complaints_.add(path("elevation_reference"), "must be agl, msl or hae");
  }

  void read_principal(const element& value) {
    std::array<double, 2> point{};
    const auto count = numbers_into(point, value, "principal_point", 1e6, "must be [x, y] in pixels");
    if (count && *count == 2)
      detection_.sensor.principal_point = Pixel{point[0], point[1]};
    else if (count)
      complaints_.add(path("principal_point"), "must be [x, y] in pixels");
  }

  void read_distortion(const element& value) {
    if (value.type() != element_type::OBJECT) {
      complaints_.add(path("distortion"), "must be an object with model and coefficients");
      return;
    }
    static constexpr std::array<std::string_view, 2> kNames{"model", "coefficients"};
    auto& distortion = detection_.sensor.distortion;
    Seen seen;
    std::optional<std::size_t> count;
    const auto outer = std::exchange(prefix_, path("distortion."));
    members(object(value), kNames, seen, [&](unsigned index, const element& member) {
      if (index == 1) {
        count = numbers_into(distortion.coefficients, member, "coefficients", 1e6, "must be 4, 5 or 8 numbers");
      } else if (const auto model = text(member, "model")) {
        if (*model == "brown")
          distortion.model = DistortionModel::kBrown;
        else if (*model == "fisheye")
          distortion.model = DistortionModel::kFisheye;
        else
          complaints_.add(path("model"), "must be brown or fisheye");
      }
    });
    require(seen, 0, "model");
    require(seen, 1, "coefficients");
    if (count) {
      distortion.count = static_cast<std::uint8_t>(*count);
      const bool fits =
          distortion.model == DistortionModel::kFisheye ? *count == 4 : *count == 4 || *count == 5 || *count == 8;
      if (!fits) complaints_.add(path("coefficients"), "must be 4, 5 or 8 numbers for brown, 4 for fisheye");
    }
    prefix_ = outer;
  }

  void read_accuracy(const element& value) {
    if (value.type() != element_type::OBJECT) {
      complaints_.add(path("accuracy"), "must be an object");
      return;
    }
    static constexpr std::array<std::string_view, 9> kNames{"horizontal_m",  "vertical_m", "ground_m",
                                                            "heading_deg",   "pitch_deg",  "roll_deg",
                                                            "focal_percent", "pixel_px",   "slant_range_m"};
    auto& accuracy = detection_.sensor.accuracy;
    const std::array<std::optional<double>*, 9> places{
        &accuracy.horizontal_m,  &accuracy.vertical_m, &accuracy.ground_m,
        &accuracy.heading_deg,   &accuracy.pitch_deg,  &accuracy.roll_deg,
        &accuracy.focal_percent, &accuracy.pixel_px,   &accuracy.slant_range_m};
    static constexpr std::array<double, 9> kMost{1e6, 1e6, 1e6, 180, 180, 180, 100, 1e5, 1e6};
    Seen seen;
    const auto outer = std::exchange(prefix_, path("accuracy."));
    members(object(value), kNames, seen,
            [&](unsigned index, const element& v) { *places[index] = number(v, kNames[index], 0, kMost[index]); });
    prefix_ = outer;
  }

  void check_focal() {
    const bool px = sensor_.has(kFocal), mm = sensor_.has(kFocalMm) || sensor_.has(kSensorWidth),
               fov = sensor_.has(kHfov);
    if (int{px} + int{mm} + int{fov} != 1)
      complaints_.add(path("focal_length"),
                      "exactly one of focal_length, focal_length_mm with sensor_width_mm, or hfov_deg is required");
    if (mm && !sensor_.has(kFocalMm)) complaints_.add(path("focal_length_mm"), "is required with sensor_width_mm");
    if (mm && !sensor_.has(kSensorWidth)) complaints_.add(path("sensor_width_mm"), "is required with focal_length_mm");
    if (sensor_.has(kFocalY) && !px) complaints_.add(path("focal_length_y"), "belongs to focal_length only");
    detection_.sensor.focal_kind = mm ? FocalKind::kMillimetres : fov ? FocalKind::kHorizontalFov : FocalKind::kPixels;
  }

  void check_whole() {
    const bool pixel = top_.has(kPixelX) || top_.has(kPixelY), box = top_.has(kBox);
    if (pixel && box) complaints_.add("bbox", "either pixel_x and pixel_y or bbox, not both");
    if (!pixel && !box) complaints_.add("pixel_x", "pixel_x and pixel_y, or bbox, are required");
    if (pixel && !top_.has(kPixelX)) complaints_.add("pixel_x", "is required with pixel_y");
    if (pixel && !top_.has(kPixelY)) complaints_.add("pixel_y", "is required with pixel_x");
    if (top_.has(kAnchor) && !box) complaints_.add("anchor", "belongs to bbox only");
    const double width = detection_.sensor.image_width_px, height = detection_.sensor.image_height_px;
    if (width <= 0 || height <= 0) return;  // already said
    if (pixel && detection_.pixel.x_px > width + 1) outside("pixel_x", 0, width + 1);
    if (pixel && detection_.pixel.y_px > height + 1) outside("pixel_y", 0, height + 1);
    if (!detection_.bbox) return;
    const auto& [x1, y1, x2, y2] = *detection_.bbox;
    if (x1 < -1 || y1 < -1 || x2 > width + 1 || y2 > height + 1)
      complaints_.add("bbox", "must lie at most 1 px outside the image");
    detection_.pixel = {(x1 + x2) / 2, detection_.anchor == BoxAnchor::kCenter ? (y1 + y2) / 2 : y2};
  }

  void outside(std::string_view name, double least, double most) {
    complaints_.add(std::string(name), "must be from " + number_text(least) + " to " + number_text(most) +
                                           ": at most 1 px outside the image");
  }

  const ParseRules& rules_;
  Detection detection_;
  Complaints complaints_;
  Seen top_, sensor_;
  std::string prefix_;
};

std::unexpected<Error> malformed(std::string why) {
  return fail(ErrorCode::kMalformedJson, std::move(why));
}

std::string explain(simdjson::error_code code) {
  if (code == simdjson::EMPTY) return "the body is empty";
  if (code == simdjson::UTF8_ERROR) return "the text is not valid UTF-8";
  if (code == simdjson::DEPTH_ERROR) return "the text nests deeper than " + std::to_string(kDepthMost) + " levels";
  if (code == simdjson::NUMBER_ERROR) return "a number is not one of JSON, or no double can hold it";
  return std::string("the text is not valid JSON: ") + simdjson::error_message(code);
}

}  // namespace

struct DetectionParser::Impl {
  simdjson::dom::parser parser;
  std::string padded;

  Result<element> document(std::string_view text) {
    // simdjson reads a little past the end.
    padded.assign(text);
    padded.append(simdjson::SIMDJSON_PADDING, ' ');
    if (parser.capacity() < text.size() || parser.max_depth() != kDepthMost)
      if (parser.allocate(std::max<std::size_t>(text.size(), 4096), kDepthMost) != simdjson::SUCCESS)
        return fail(ErrorCode::kStoreUnavailable, "no memory for the request");
    element root;
    if (const auto error = parser.parse(padded.data(), text.size(), false).get(root)) return malformed(explain(error));
    if (text.find("\\u") != std::string_view::npos) check_texts(root);
    return root;
  }

  Result<Detection> detection(std::string_view text, const ParseRules& rules) {
    try {
      auto root = document(text);
      if (!root) return std::unexpected(std::move(root.error()));
      return DetectionReader(rules).read(*root);
    } catch (const Malformed& e) {
      return malformed(e.why);
    }
  }
};

DetectionParser::DetectionParser() : impl_(std::make_unique<Impl>()) {}
DetectionParser::~DetectionParser() = default;
DetectionParser::DetectionParser(DetectionParser&&) noexcept = default;

Result<Detection> DetectionParser::parse(std::string_view body, const ParseRules& rules) {
  return impl_->detection(body, rules);
}

Result<std::vector<Result<Detection>>> DetectionParser::parse_array(std::string_view body, const ParseRules& rules,
                                                                    std::size_t items_most) {
  try {
    auto root = impl_->document(body);
    if (!root) return std::unexpected(std::move(root.error()));
    if (root->type() != element_type::ARRAY) return malformed("a batch is a JSON array of detections");
    const auto items = simdjson::dom::array(*root);
    std::vector<Result<Detection>> results;
    for (const auto item : items) {
      if (results.size() == items_most)
        return fail(ErrorCode::kPayloadTooLarge, "a batch holds at most " + std::to_string(items_most) + " detections");
      try {
        results.push_back(DetectionReader(rules).read(item));
      } catch (const Malformed& e) {
        results.push_back(malformed(e.why));
      }
    }
    return results;
  } catch (const Malformed& e) {
    return malformed(e.why);
  }
}

Result<std::vector<Result<Detection>>> DetectionParser::parse_lines(std::string_view body, const ParseRules& rules,
                                                                    std::size_t items_most) {
  std::vector<Result<Detection>> results;
  while (!body.empty()) {
    const auto end = std::min(body.find('\n'), body.size());
    const auto line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (results.size() == items_most)
      return fail(ErrorCode::kPayloadTooLarge, "a batch holds at most " + std::to_string(items_most) + " detections");
    results.push_back(impl_->detection(line, rules));
  }
  return results;
}

}  // namespace detection::http
