// The on-demand parser checks only what is read, so everything is read here: also the values of unknown fields, and of
// fields that have the wrong type.

#include <algorithm>
#include <cmath>
#include <set>

#include "http/detection_json.hpp"
#include "http/json_syntax.hpp"
#include "http/json_walk.hpp"
#include "http/request_rules.hpp"

namespace detection::http {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t kKeptBytesMost = 1u << 20;  ///< larger buffers are given back after use

template <class Field>
constexpr std::uint32_t bit(Field field) noexcept {
  return 1U << static_cast<unsigned>(field);
}

/// Reads one body. Every function is false when the text is not JSON: `why` then says so and all ends.
class Reader {
 public:
  Reader(FieldErrors& errors, const ParseRules& rules) : errors_(errors), rules_(rules) {}

  [[nodiscard]] bool read(ondemand::document& document) {
    ondemand::object object;
    if (const auto error = document.get_object().get(object)) return malformed(json_sentence(error));
    const bool walked = each_field(object, kTopFields, {}, stated_.seen, [this](std::size_t index, auto value) {
      return top(static_cast<TopField>(index), value);
    });
    if (!walked) return false;
    // Out of bounds is where the text ends.
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) return malformed("there is text after the end");
    finish(stated_, rules_, errors_);
    return true;
  }

  [[nodiscard]] Stated& stated() noexcept { return stated_; }
  [[nodiscard]] std::string& why() noexcept { return why_; }

 private:
  bool malformed(std::string_view why) {
    why_ = why;
    return false;
  }
  bool sane(std::string_view text) {
    return is_sane_text(text) || malformed("a string holds a NUL or half of a surrogate pair");
  }

  [[nodiscard]] bool skip(ondemand::value value, int depth) { return skip_json(value, depth, why_); }

  /// Calls `on_field` with the index of each known field; unknown ones are noted and read to their end.
  template <std::size_t N, class OnField>
  bool each_field(ondemand::object& object, const std::array<std::string_view, N>& names, std::string_view prefix,
                  std::uint32_t& seen, OnField&& on_field) {
    std::size_t expected = 0;
    std::set<std::string_view> unknown;
    for (auto result : object) {
      ondemand::field field;
      if (const auto error = std::move(result).get(field)) return malformed(json_sentence(error));
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return malformed(json_sentence(error));
      // Clients write the fields in one order: look from behind the last one.
      std::size_t index = N;
      for (std::size_t i = 0; i < N; ++i) {
        const std::size_t candidate = expected + i < N ? expected + i : expected + i - N;
        if (names[candidate] == key) {
          index = candidate;
          break;
        }
      }
      if (index == N) {
        if (!sane(key)) return false;
        if (!unknown.insert(key).second) return malformed("a field is given twice in one object");
        errors_.add(prefix, key, "is not a known field");
        if (!skip(field.value(), 1)) return false;
        continue;
      }
      if ((seen & bit(index)) != 0) return malformed("the field " + std::string(key) + " is given twice");
      seen |= bit(index);
      expected = index + 1 < N ? index + 1 : 0;
      if (!on_field(index, field.value())) return false;
    }
    return true;
  }

  bool wrong_type(ondemand::value value, std::string_view prefix, std::string_view name, std::string_view message) {
    if (!skip(value, 1)) return false;
    errors_.add(prefix, name, message);
    return true;
  }

  /// `good` is set when it is a number that holds its rule.
  bool number(ondemand::value value, std::string_view prefix, std::string_view name, const NumberRule& rule, double& to,
              bool& good) {
    double read = 0;
    if (value.get_double().get(read) != simdjson::SUCCESS) {
      const auto token = json_trimmed(value.raw_json_token());
      if (is_json_number(token)) {
        errors_.add(prefix, name, "is a number too large to be represented");
        return true;
      }
      return wrong_type(value, prefix, name, "must be a number");
    }
    if (!rule.holds(read)) {
      errors_.add(prefix, name, rule.message);
      return true;
    }
    to = read + 0.0;  // -0 becomes 0: one content, one hash
    good = true;
    return true;
  }

  /// `set` is called with the text and is false when it breaks its rule.
  template <class Set>
  bool text(ondemand::value value, std::string_view prefix, std::string_view name, bool& good, Set&& set) {
    const auto token = value.raw_json_token();
    if (token.empty() || token.front() != '"') return wrong_type(value, prefix, name, "must be a string");
    std::string_view read;
    if (const auto error = value.get_string().get(read)) return malformed(json_sentence(error));
    good = set(read);
    return good || sane(read);
  }

  /// Numbers of an array; `count` is how many there were, at most one more than fit.
  template <std::size_t N>
  bool numbers(ondemand::value value, std::string_view prefix, std::string_view name, std::array<double, N>& to,
               std::size_t& count, bool& good) {
    ondemand::array array;
    const auto token = value.raw_json_token();
    if (token.empty() || token.front() != '[') return wrong_type(value, prefix, name, "must be an array of numbers");
    if (const auto error = value.get_array().get(array)) return malformed(json_sentence(error));
    good = true;
    for (auto element : array) {
      ondemand::value one;
      if (const auto error = element.get(one)) return malformed(json_sentence(error));
      static constexpr NumberRule kFinite{};
      double read = 0;
      bool fine = false;
      if (count >= N) {
        if (!skip(one, 2)) return false;
        count = N + 1;
        continue;
      }
      if (good) {
        if (!number(one, prefix, name, kFinite, read, fine)) return false;
        good = fine;
      } else if (!skip(one, 2)) {
        return false;
      }
      to[count++] = read;
    }
    return true;
  }

  bool object(ondemand::value value, std::string_view prefix, std::string_view name, ondemand::object& to,
              bool& is_object) {
    const auto token = value.raw_json_token();
    if (token.empty() || token.front() != '{') return wrong_type(value, prefix, name, "must be an object");
    if (const auto error = value.get_object().get(to)) return malformed(json_sentence(error));
    is_object = true;
    return true;
  }

  bool top(TopField field, ondemand::value value) {
    const auto name = kTopFields[static_cast<std::size_t>(field)];
    auto& detection = stated_.detection;
    bool good = false, read = true;
    switch (field) {
      case TopField::kDetectionId:
        read = text(value, {}, name, good, [&](auto t) { return set_detection_id(stated_, t, errors_); });
        break;
      case TopField::kPixelX: read = number(value, {}, name, field_of(field).range, detection.pixel.x_px, good); break;
      case TopField::kPixelY: read = number(value, {}, name, field_of(field).range, detection.pixel.y_px, good); break;
      case TopField::kBbox: {
        std::size_t count = 0;
        read = numbers(value, {}, name, stated_.bbox, count, good);
        if (read && good && count != 4) {
          errors_.add({}, name, field_of(field).range.message);
          good = false;
        }
        break;
      }
      case TopField::kAnchor:
        read = text(value, {}, name, good, [&](auto t) { return set_anchor(stated_, t, errors_); });
        break;
      case TopField::kObjectClass:
        read = text(value, {}, name, good, [&](auto t) { return set_name(detection.object_class, field, t, errors_); });
        break;
      case TopField::kAiConfidence:
        read = number(value, {}, name, field_of(field).range, detection.ai_confidence, good);
        break;
      case TopField::kSource:
        read = text(value, {}, name, good, [&](auto t) { return set_name(detection.source, field, t, errors_); });
        break;
      case TopField::kCameraId:
        read = text(value, {}, name, good, [&](auto t) { return set_name(detection.camera_id, field, t, errors_); });
        break;
      case TopField::kTimestamp:
        read = text(value, {}, name, good, [&](auto t) { return set_timestamp(stated_, t, rules_, errors_); });
        break;
      case TopField::kTrackId:
        read = text(value, {}, name, good,
                    [&](auto t) { return set_name(detection.track_id.emplace(), field, t, errors_); });
        break;
      case TopField::kExercise: {
        const auto token = value.raw_json_token();
        if (token.empty() || (token.front() != 't' && token.front() != 'f'))
          read = wrong_type(value, {}, name, "must be true or false");
        else if (value.get_bool().get(detection.exercise) != simdjson::SUCCESS)
          read = malformed(json_sentence(simdjson::T_ATOM_ERROR));
        break;
      }
      case TopField::kImageBase64:
        read = text(value, {}, name, good, [&](auto t) { return set_image(stated_, t, errors_); });
        break;
      case TopField::kSensorMetadata: {
        ondemand::object metadata;
        read = object(value, {}, name, metadata, good);
        if (read && good)
          read = each_field(metadata, kSensorFields, kSensorPrefix, stated_.sensor_seen,
                            [this](std::size_t index, auto v) { return sensor(static_cast<SensorField>(index), v); });
        break;
      }
    }
    if (good) stated_.good |= bit(field);
    return read;
  }

  bool sensor(SensorField field, ondemand::value value) {
    using enum SensorField;
    auto& to = stated_.detection.sensor;
    bool good = false;
    const auto plain = [&](double& target) {
      return number(value, kSensorPrefix, field_of(field).name, field_of(field).range, target, good);
    };
    const auto optional = [&](std::optional<double>& target) {
      double read = 0;
      const bool fine = plain(read);
      if (good) target = read;
      return fine;
    };
    bool read = true;
    switch (field) {
      case kLocationLat: read = plain(to.location_lat_deg); break;
      case kLocationLon: read = plain(to.location_lon_deg); break;
      case kLocationElevation: read = plain(to.location_elevation_m); break;
      case kElevationReference:
        read = text(value, kSensorPrefix, "elevation_reference", good,
                    [&](auto t) { return set_elevation_reference(stated_, t, errors_); });
        break;
      case kHeading: read = plain(to.attitude.heading_deg); break;
      case kPitch: read = plain(to.attitude.pitch_deg); break;
      case kRoll: read = plain(to.attitude.roll_deg); break;
      case kFocalLength: read = plain(to.focal_length_px); break;
      case kFocalLengthY: read = optional(to.focal_length_y_px); break;
      case kFocalLengthMm: read = plain(to.focal_length_mm); break;
      case kSensorWidthMm: read = plain(to.sensor_width_mm); break;
      case kHfovDeg: read = plain(to.hfov_deg); break;
      case kImageWidth:
      case kImageHeight: read = image_side(value, field, good); break;
      case kPrincipalPoint: read = principal_point(value, good); break;
      case kDistortion: read = distortion(value); break;
      case kSlantRange: read = optional(to.slant_range_m); break;
      case kGroundElevation: read = optional(to.ground_elevation_m); break;
      case kAccuracy: read = accuracy(value); break;
    }
    if (good) stated_.sensor_good |= bit(field);
    return read;
  }

  bool image_side(ondemand::value value, SensorField field, bool& good) {
    const auto name = kSensorFields[static_cast<std::size_t>(field)];
    const auto& rule = field_of(field).range;
    double& to = field == SensorField::kImageWidth ? stated_.image_width_px : stated_.image_height_px;
    if (!number(value, kSensorPrefix, name, rule, to, good)) return false;
    if (good && to != std::floor(to)) {
      errors_.add(kSensorPrefix, name, rule.message);
      good = false;
    }
    return true;
  }

  bool principal_point(ondemand::value value, bool& good) {
    std::array<double, 2> point{};
    std::size_t count = 0;
    if (!numbers(value, kSensorPrefix, "principal_point", point, count, good)) return false;
    if (good && count != 2) {
      errors_.add(kSensorPrefix, "principal_point", field_of(SensorField::kPrincipalPoint).range.message);
      good = false;
    }
    if (good) stated_.detection.sensor.principal_point = Pixel{point[0], point[1]};
    return true;
  }

  bool distortion(ondemand::value value) {
    ondemand::object fields;
    bool is_object = false;
    if (!object(value, kSensorPrefix, "distortion", fields, is_object)) return false;
    if (!is_object) return true;
    auto& to = stated_.detection.sensor.distortion;
    std::uint32_t seen = 0;
    std::size_t count = 0;
    bool model_good = false, numbers_good = false;
    const bool read = each_field(fields, kDistortionFields, kDistortionPrefix, seen, [&](std::size_t index, auto v) {
      if (index == 1) return numbers(v, kDistortionPrefix, "coefficients", to.coefficients, count, numbers_good);
      return text(v, kDistortionPrefix, "model", model_good, [&](std::string_view t) {
        to.model = t == kDistortionModels[0] ? DistortionModel::kBrown : DistortionModel::kFisheye;
        if (std::ranges::find(kDistortionModels, t) != kDistortionModels.end()) return true;
        errors_.add(kDistortionPrefix, "model", kDistortionTable[0].range.message);
        return false;
      });
    });
    if (!read) return false;
    for (std::size_t i = 0; i < kDistortionFields.size(); ++i)
      if ((seen & bit(i)) == 0) errors_.add(kDistortionPrefix, kDistortionFields[i], "is required");
    if (!model_good || !numbers_good) return true;
    const bool brown = to.model == DistortionModel::kBrown;
    if (brown ? count != 4 && count != 5 && count != 8 : count != 4)
      errors_.add(kDistortionPrefix, "coefficients",
                  brown ? "must be 4, 5 or 8 numbers for brown" : "must be 4 numbers for fisheye");
    else
      to.count = static_cast<std::uint8_t>(count);
    return true;
  }

  bool accuracy(ondemand::value value) {
    ondemand::object fields;
    bool is_object = false;
    if (!object(value, kSensorPrefix, "accuracy", fields, is_object)) return false;
    if (!is_object) return true;
    auto& to = stated_.detection.sensor.accuracy;
    const std::array<std::optional<double>*, kAccuracyFields.size()> targets{
        &to.horizontal_m, &to.vertical_m,    &to.ground_m, &to.heading_deg,  &to.pitch_deg,
        &to.roll_deg,     &to.focal_percent, &to.pixel_px, &to.slant_range_m};
    std::uint32_t seen = 0;
    return each_field(fields, kAccuracyFields, kAccuracyPrefix, seen, [&](std::size_t index, auto v) {
      double read = 0;
      bool good = false;
      if (!number(v, kAccuracyPrefix, kAccuracyFields[index], kAccuracyTable[index].range, read, good)) return false;
      if (good) *targets[index] = read;
      return true;
    });
  }

  FieldErrors& errors_;
  const ParseRules& rules_;
  Stated stated_{};
  std::string why_;
};

}  // namespace

struct DetectionParser::Impl {
  ondemand::parser parser;
  std::string padded;
  FieldErrors errors;

  Result<Detection> parse_one(std::string_view body, const ParseRules& rules) {
    errors.clear();
    const auto text = json_trimmed(body);
    if (text.empty()) return fail(ErrorCode::kMalformedJson, "the body is empty");
    if (text.front() != '{') return not_an_object(text);
    ondemand::document document;
    if (const auto error = parser.iterate(padded_json(text, padded)).get(document))
      return fail(ErrorCode::kMalformedJson, std::string(json_sentence(error)));
    Reader reader(errors, rules);
    if (!reader.read(document)) return fail(ErrorCode::kMalformedJson, std::move(reader.why()));
    if (!errors.empty()) return std::unexpected(errors.take());
    return std::move(reader.stated().detection);
  }

  /// JSON of another kind breaks a rule; anything else is not JSON.
  Result<Detection> not_an_object(std::string_view text) {
    std::string why;
    if (!skip_json_text(parser, text, padded, why)) return fail(ErrorCode::kMalformedJson, std::move(why));
    errors.clear();
    errors.add({}, {}, "must be a JSON object");
    auto whole = errors.take();
    whole.detail = text.front() == '[' ? "the body must be one JSON object; an array goes to /api/v1/detections/batch"
                                       : "the body must be a JSON object";
    return std::unexpected(std::move(whole));
  }

  void give_back_large() {
    if (padded.capacity() <= kKeptBytesMost) return;
    padded = {};
    parser = ondemand::parser{};
  }
};

DetectionParser::DetectionParser() : impl_(std::make_unique<Impl>()) {}
DetectionParser::~DetectionParser() = default;
DetectionParser::DetectionParser(DetectionParser&&) noexcept = default;

Result<Detection> DetectionParser::parse(std::string_view body, const ParseRules& rules) {
  auto result = impl_->parse_one(body, rules);
  impl_->give_back_large();
  return result;
}

Result<std::vector<Result<Detection>>> DetectionParser::parse_array(std::string_view body, const ParseRules& rules,
                                                                    std::size_t items_most) {
  auto elements = split_array(body, items_most);
  if (!elements) return std::unexpected(std::move(elements.error()));
  std::vector<Result<Detection>> results;
  results.reserve(elements->size());
  for (const auto element : *elements) {
    auto result = impl_->parse_one(element, rules);
    // The array is one JSON text: where one element is not JSON, nothing of it is.
    if (!result && result.error().code == ErrorCode::kMalformedJson)
      return fail(ErrorCode::kMalformedJson, "item " + std::to_string(results.size()) + ": " + result.error().detail);
    results.push_back(std::move(result));
  }
  impl_->give_back_large();
  return results;
}

Result<std::vector<Result<Detection>>> DetectionParser::parse_lines(std::string_view body, const ParseRules& rules,
                                                                    std::size_t items_most) {
  std::vector<Result<Detection>> results;
  for (std::size_t begin = 0; begin < body.size();) {
    const auto end = std::min(body.find('\n', begin), body.size());
    const auto line = body.substr(begin, end - begin);
    begin = end + 1;
    if (is_json_blank(line)) continue;
    if (results.size() == items_most)
      return fail(ErrorCode::kPayloadTooLarge, "a batch has at most " + std::to_string(items_most) + " detections");
    results.push_back(impl_->parse_one(line, rules));
  }
  impl_->give_back_large();
  if (results.empty()) return fail(ErrorCode::kMalformedJson, "the body is empty");
  return results;
}

}  // namespace detection::http
