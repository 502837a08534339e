// Schemas from the tables of fields.

#include <cmath>

#include "http/detection_fields.hpp"
#include "http/open_api_parts.hpp"

namespace detection::http {
namespace {

void text_member(json::Writer& w, std::string_view key, std::string_view text) {
  if (text.empty()) return;
  w.key(key);
  w.string(text);
}
void raw_member(json::Writer& w, std::string_view key, std::string_view json) {
  if (json.empty()) return;
  w.key(key);
  w.raw(json);
}
void number_member(json::Writer& w, std::string_view key, double value) {
  w.key(key);
  if (value == std::floor(value) && std::abs(value) < 1e15)
    w.integer(static_cast<std::int64_t>(value));
  else
    w.number(value);
}
void words_member(json::Writer& w, std::span<const std::string_view> words) {
  w.key("enum");
  w.begin_array();
  for (const auto word : words) w.string(word);
  w.end_array();
}

/// What a text may be; also of a list's entry.
void text_rules(json::Writer& w, const FieldSpec& spec) {
  w.key("type");
  w.string("string");
  if (!spec.one_of.empty()) return words_member(w, spec.one_of);
  if (spec.least > 0) number_member(w, "minLength", spec.least);
  number_member(w, "maxLength", spec.most);
  text_member(w, "pattern", spec.pattern);
}

void example_members(json::Writer& w, std::string_view example_json) {
  if (example_json.empty()) return;
  w.key("examples");
  w.begin_array();
  w.raw(example_json);
  w.end_array();
}

void range_members(json::Writer& w, const NumberRule& range) {
  if (range.least == kAboveZero)
    number_member(w, "exclusiveMinimum", 0);
  else if (range.least > -kNumberMost)
    number_member(w, "minimum", range.least);
  if (range.most < kNumberMost) number_member(w, "maximum", range.most);
}

void count_members(json::Writer& w, const DetectionField& field, std::string_view least, std::string_view most) {
  number_member(w, least, static_cast<double>(field.count_least));
  number_member(w, most, static_cast<double>(field.count_most));
}

void detection_field(json::Writer& w, const DetectionField& field, std::string_view object_schema) {
  w.begin_object();
  switch (field.kind) {
    case ValueKind::kUuid:
      text_member(w, "type", "string");
      text_member(w, "format", "uuid");
      break;
    case ValueKind::kTime:
      text_member(w, "type", "string");
      text_member(w, "format", "date-time");
      break;
    case ValueKind::kNumber:
    case ValueKind::kWhole:
      text_member(w, "type", field.kind == ValueKind::kWhole ? "integer" : "number");
      range_members(w, field.range);
      break;
    case ValueKind::kName:
    case ValueKind::kBase64:
      text_member(w, "type", "string");
      if (field.kind == ValueKind::kBase64) text_member(w, "contentEncoding", "base64");
      count_members(w, field, "minLength", "maxLength");
      text_member(w, "pattern", field.pattern);
      break;
    case ValueKind::kWord:
      text_member(w, "type", "string");
      words_member(w, field.words);
      break;
    case ValueKind::kBoolean: text_member(w, "type", "boolean"); break;
    case ValueKind::kNumbers:
      text_member(w, "type", "array");
      raw_member(w, "items", R"({"type":"number"})");
      count_members(w, field, "minItems", "maxItems");
      break;
    case ValueKind::kObject: text_member(w, "$ref", object_schema); break;
  }
  text_member(w, "description", field.description);
  raw_member(w, "default", field.default_json);
  example_members(w, field.example_json);
  w.end_object();
}

std::string_view object_schema_of(std::string_view field) noexcept {
  if (field == "sensor_metadata") return "#/components/schemas/SensorMetadata";
  if (field == "distortion") return "#/components/schemas/Distortion";
  return "#/components/schemas/InputAccuracy";
}

/// `more` are further members of the schema, in JSON: rules between fields.
void table_object(json::Writer& w, std::string_view name, std::span<const DetectionField> table,
                  std::string_view more) {
  w.key(name);
  w.begin_object();
  text_member(w, "type", "object");
  w.key("properties");
  w.begin_object();
  for (const auto& field : table) {
    w.key(field.name);
    detection_field(w, field, object_schema_of(field.name));
  }
  w.end_object();
  std::string required;
  for (const auto& field : table)
    if (field.required) {
      required.append(required.empty() ? "" : ",");
      json::append_string(required, field.name);
    }
  if (!required.empty()) raw_member(w, "required", "[" + required + "]");
  w.key("additionalProperties");
  w.boolean(false);
  if (!more.empty()) w.raw(more);
  w.end_object();
}

}  // namespace

void append_field_schema(json::Writer& w, const FieldSpec& spec) {
  w.begin_object();
  switch (spec.type) {
    case FieldType::kText: text_rules(w, spec); break;
    case FieldType::kTime:
      text_member(w, "type", "string");
      text_member(w, "format", "date-time");
      break;
    case FieldType::kBoolean: text_member(w, "type", "boolean"); break;
    case FieldType::kInteger:
      text_member(w, "type", "integer");
      number_member(w, "minimum", spec.least);
      number_member(w, "maximum", spec.most);
      break;
    case FieldType::kTextList:
      text_member(w, "type", "array");
      w.key("items");
      w.begin_object();
      text_rules(w, spec);
      w.end_object();
      number_member(w, "minItems", spec.least);
      number_member(w, "maxItems", spec.most);
      w.key("uniqueItems");
      w.boolean(true);
      break;
  }
  text_member(w, "description", spec.description);
  raw_member(w, "default", spec.default_json);
  example_members(w, spec.example_json);
  w.end_object();
}

void append_table_schema(json::Writer& w, std::span<const FieldSpec> table) {
  w.begin_object();
  text_member(w, "type", "object");
  w.key("properties");
  w.begin_object();
  for (const auto& spec : table) {
    if (spec.name == kOtherFields) continue;
    w.key(spec.name);
    append_field_schema(w, spec);
  }
  w.end_object();
  w.key("required");
  w.begin_array();
  for (const auto& spec : table)
    if (spec.required) w.string(spec.name);
  w.end_array();
  w.key("additionalProperties");
  w.boolean(ignores_others(table));
  w.end_object();
}

void append_detection_schemas(json::Writer& w) {
  // Each alternative also says what it excludes.
  table_object(w, "Detection", kTopTable,
               R"("oneOf":[{"required":["pixel_x","pixel_y"],"properties":{"bbox":false,"anchor":false}},)"
               R"({"required":["bbox"],"properties":{"pixel_x":false,"pixel_y":false}}])");
  table_object(w, "SensorMetadata", kSensorTable,
               R"("oneOf":[{"required":["focal_length"],"properties":{"focal_length_mm":false,)"
               R"("sensor_width_mm":false,"hfov_deg":false}},)"
               R"({"required":["focal_length_mm","sensor_width_mm"],"properties":{"focal_length":false,)"
               R"("focal_length_y":false,"hfov_deg":false}},)"
               R"({"required":["hfov_deg"],"properties":{"focal_length":false,"focal_length_y":false,)"
               R"("focal_length_mm":false,"sensor_width_mm":false}}])");
  table_object(w, "Distortion", kDistortionTable, {});
  table_object(w, "InputAccuracy", kAccuracyTable, {});
}

}  // namespace detection::http
