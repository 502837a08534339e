#include "cot/reader.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cot/event.hpp"
#include "cot/xml_document.hpp"

namespace detection::cot {
namespace {

std::unexpected<Error> refuse(std::string why) {
  return fail(ErrorCode::kValidationFailed, std::move(why));
}

/// NaN for what is no number.
double number(std::string_view text) {
  return read_number(text).value_or(std::numeric_limits<double>::quiet_NaN());
}

std::optional<double> known_metres(std::string_view text) {
  const double value = number(text);
  return std::isfinite(value) && value < kUnknownFrom_m ? std::optional(value) : std::nullopt;
}

Result<void> read_point(const pugi::xml_node& root, ParsedEvent& out) {
  const auto point = root.child("point");
  if (!point) return refuse("an event has a point");
  if (point.next_sibling("point")) return refuse("an event has one point");
  for (const char* name : {"lat", "lon", "hae", "ce", "le"})
    if (!point.attribute(name)) return refuse("point has no " + std::string(name));
  out.lat_deg = number(point.attribute("lat").value());
  out.lon_deg = number(point.attribute("lon").value());
  if (!(std::abs(out.lat_deg) <= 90)) return refuse("point lat must be a number, -90 to 90");
  if (!(std::abs(out.lon_deg) <= 180)) return refuse("point lon must be a number, -180 to 180");
  out.hae_m = known_metres(point.attribute("hae").value());
  out.ce_m = known_metres(point.attribute("ce").value());
  out.le_m = known_metres(point.attribute("le").value());
  return {};
}

Result<void> read_attributes(const pugi::xml_node& root, ParsedEvent& out) {
  const struct {
    const char* name;
    std::string& value;
    bool required;
  } texts[] = {{"uid", out.uid, true},    {"type", out.type, true},      {"version", out.version, false},
               {"how", out.how, false},   {"access", out.access, false}, {"qos", out.qos, false},
               {"opex", out.opex, false}, {"caveat", out.caveat, false}, {"releaseableTo", out.releaseable_to, false}};
  for (const auto& text : texts) {
    text.value = root.attribute(text.name).value();
    if (text.required && text.value.empty()) return refuse("event has no " + std::string(text.name));
  }
  const struct {
    const char* name;
    UtcMicros& value;
  } times[] = {{"time", out.time}, {"start", out.start}, {"stale", out.stale}};
  for (const auto& time : times) {
    const auto value = read_event_time(root.attribute(time.name).value());
    if (!value) return refuse("event " + std::string(time.name) + " " + value.error().detail);
    time.value = *value;
  }
  return {};
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':' ||
         c == '-' || c == '.';
}

}  // namespace

Result<ParsedEvent> read_event(std::string_view xml, const MarkupLimits& limits) {
  pugi::xml_document document;
  const auto shape = parse_xml(xml, limits, document);
  if (!shape) return std::unexpected(shape.error());
  if (shape->details > 1) return refuse("an event has one detail at most");
  const auto root = document.document_element();
  if (std::string_view(root.name()) != "event") return refuse("the root is not <event>");

  ParsedEvent out;
  if (auto done = read_attributes(root, out); !done) return std::unexpected(std::move(done.error()));
  if (auto done = read_point(root, out); !done) return std::unexpected(std::move(done.error()));
  out.detail = shape->detail_text;
  return out;
}

Result<UtcMicros> read_event_time(std::string_view text) {
  const bool doubled = text.size() > 7 && text.ends_with('Z') &&
                       (text[text.size() - 7] == '+' || text[text.size() - 7] == '-') && text[text.size() - 4] == ':';
  if (doubled) text.remove_suffix(1);
  return parse_rfc3339(text);
}

std::optional<EventName> read_event_name(std::string_view xml) noexcept {
  constexpr std::string_view kOpen = "<event";
  constexpr std::string_view kSpace = " \t\r\n";
  const auto tag = xml.find(kOpen);
  if (tag == std::string_view::npos) return std::nullopt;
  EventName out;
  for (std::size_t at = tag + kOpen.size(); at < xml.size();) {
    if (kSpace.find(xml[at]) == std::string_view::npos) break;  // the end of the tag, or no attribute follows
    at = std::min(xml.find_first_not_of(kSpace, at), xml.size());
    const std::size_t name_start = at;
    while (at < xml.size() && is_name_character(xml[at])) ++at;
    const auto name = xml.substr(name_start, at - name_start);
    at = std::min(xml.find_first_not_of(kSpace, at), xml.size());
    if (name.empty() || at == xml.size() || xml[at] != '=') break;
    at = std::min(xml.find_first_not_of(kSpace, at + 1), xml.size());
    if (at == xml.size() || (xml[at] != '"' && xml[at] != '\'')) break;
    const auto close = xml.find(xml[at], at + 1);
    if (close == std::string_view::npos) break;
    const auto value = xml.substr(at + 1, close - at - 1);
    if (name == "type") out.type = value;
    if (name == "uid") out.uid = value;
    if (name == "time") out.time = value;
    at = close + 1;
  }
  if (out.type.empty() || out.uid.empty()) return std::nullopt;
  return out;
}

}  // namespace detection::cot
