// Writing of answers: shapes of design.md 4.2.

#include "detection/json_writer.hpp"
#include "http/detection_json.hpp"

namespace detection::http {
namespace {

void number_or_null(json::Writer& w, const std::optional<double>& value) {
  if (value)
    w.number(*value);
  else
    w.null();
}

void fix_members(json::Writer& w, const Fix& fix, const FlagVerdict& verdict) {
  w.key("position");
  w.begin_object();
  w.key("lat");
  w.number(fix.position.lat_deg);
  w.key("lon");
  w.number(fix.position.lon_deg);
  w.key("hae");
  number_or_null(w, fix.hae_known ? std::optional(fix.position.hae_m) : std::nullopt);
  w.key("source");
  w.string(position_source_name(fix.source));
  w.end_object();
  w.key("accuracy");
  w.begin_object();
  w.key("ce90_m");
  number_or_null(w, fix.ce90_m);
  w.key("le90_m");
  number_or_null(w, fix.le90_m);
  w.key("ellipse");
  w.begin_object();
  w.key("semi_major_m");
  w.number(fix.ellipse.semi_major_m);
  w.key("semi_minor_m");
  w.number(fix.ellipse.semi_minor_m);
  w.key("azimuth_deg");
  w.number(fix.ellipse.azimuth_deg);
  w.key("probability");
  w.number(fix.ellipse.probability);
  w.end_object();
  w.key("covariance_enu");
  w.begin_array();
  for (const double value : fix.covariance_enu_m2) w.number(value);
  w.end_array();
  w.end_object();
  w.key("flag");
  w.string(flag_name(verdict.flag));
  w.key("flag_reasons");
  w.begin_array();
  for (const auto reason : kAllFlagReasons)
    if (verdict.has(reason)) w.string(flag_reason_name(reason));
  w.end_array();
  w.key("slant_range_m");
  w.number(fix.slant_range_m);
  w.key("grazing_deg");
  w.number(fix.grazing_deg);
}

void answer_members(json::Writer& w, const LocatedDetection& located, const store::DeliveryStatus& delivery) {
  w.key("detection_id");
  w.string(to_string(located.id));
  fix_members(w, located.fix, located.verdict);
  w.key("cot");
  w.begin_object();
  w.key("uid");
  w.string(located.cot_uid);
  w.key("type");
  w.string(located.cot_type);
  w.end_object();
  w.key("delivery");
  w.begin_object();
  w.key("state");
  w.string(store::delivery_state_name(delivery.state));
  w.key("sinks");
  w.begin_object();
  for (const auto& [sink, state] : delivery.sinks) {
    w.key(sink);  // a name from the configuration: plain characters
    w.string(store::delivery_state_name(state));
  }
  w.end_object();
  w.end_object();
}

void time_member(json::Writer& w, std::string_view key, UtcMicros time) {
  w.key(key);
  w.string(format_rfc3339_us(time));
}

void verification_member(json::Writer& w, const std::optional<store::Decision>& decision) {
  w.key("verification");
  if (!decision) return w.null();
  w.begin_object();
  w.key("verified");
  w.boolean(decision->verified);
  w.key("notes");
  w.string(decision->notes);
  w.key("actor");
  w.string(decision->actor);
  time_member(w, "time", decision->at);
  w.end_object();
}

void record_members(json::Writer& w, const store::StoredDetection& stored, const store::DeliveryStatus& delivery) {
  const auto& located = stored.located;
  answer_members(w, located, delivery);
  w.key("object_class");
  w.string(located.object_class);
  w.key("ai_confidence");
  w.number(located.ai_confidence);
  w.key("source");
  w.string(located.source);
  w.key("camera_id");
  w.string(located.camera_id);
  w.key("track_id");
  if (located.track_id)
    w.string(*located.track_id);
  else
    w.null();
  time_member(w, "timestamp", located.observed);
  time_member(w, "received", located.received);
  w.key("exercise");
  w.boolean(located.exercise);
  verification_member(w, stored.decision);
  w.key("request");
  w.raw(stored.request_json.empty() ? std::string_view("null") : std::string_view(stored.request_json));
}

}  // namespace

void append_fix(std::string& out, const Fix& fix, const FlagVerdict& verdict) {
  json::Writer w(out);
  w.begin_object();
  fix_members(w, fix, verdict);
  w.end_object();
}

void append_answer(std::string& out, const LocatedDetection& located, const store::DeliveryStatus& delivery,
                   bool spooled) {
  json::Writer w(out);
  w.begin_object();
  answer_members(w, located, delivery);
  if (located.exercise) {
    w.key("exercise");
    w.boolean(true);
  }
  if (spooled) {
    w.key("durability");
    w.string("spooled");
  }
  w.end_object();
}

void append_record(std::string& out, const store::StoredDetection& stored, const store::DeliveryStatus& delivery) {
  json::Writer w(out);
  w.begin_object();
  record_members(w, stored, delivery);
  w.end_object();
}

void append_feature(std::string& out, const store::StoredDetection& stored, const store::DeliveryStatus& delivery) {
  const auto& fix = stored.located.fix;
  json::Writer w(out);
  w.begin_object();
  w.key("type");
  w.string("Feature");
  w.key("id");
  w.string(to_string(stored.located.id));
  w.key("geometry");
  w.begin_object();
  w.key("type");
  w.string("Point");
  w.key("coordinates");
  w.begin_array();
  w.number(fix.position.lon_deg);
  w.number(fix.position.lat_deg);
  if (fix.hae_known) w.number(fix.position.hae_m);
  w.end_array();
  w.end_object();
  w.key("properties");
  w.begin_object();
  record_members(w, stored, delivery);
  w.end_object();
  w.end_object();
}

}  // namespace detection::http
