#include "http/answer_json.hpp"

#include <algorithm>

#include "detection/json_writer.hpp"
#include "http/detection_json.hpp"

namespace detection::http {
namespace {

void number_or_null(json::Writer& w, std::string_view key, const std::optional<double>& value) {
  w.key(key);
  if (value)
    w.number(*value);
  else
    w.null();
}

void write_time(json::Writer& w, std::string_view key, UtcMicros time) {
  w.key(key);
  w.raw("\"");
  append_rfc3339_us(w.out(), time);
  w.out().push_back('"');
}

void write_id(json::Writer& w, std::string_view key, const Uuid& id) {
  w.key(key);
  w.raw("\"");
  append_uuid(w.out(), id);
  w.out().push_back('"');
}

void write_fix(json::Writer& w, const Fix& fix, const FlagVerdict& verdict) {
  w.key("position");
  w.begin_object();
  w.key("lat");
  w.number(fix.position.lat_deg);
  w.key("lon");
  w.number(fix.position.lon_deg);
  number_or_null(w, "hae", fix.hae_known ? std::optional(fix.position.hae_m) : std::nullopt);
  w.key("source");
  w.string(position_source_name(fix.source));
  w.end_object();

  w.key("accuracy");
  w.begin_object();
  number_or_null(w, "ce90_m", fix.ce90_m);
  number_or_null(w, "le90_m", fix.le90_m);
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

void write_answer(json::Writer& w, const LocatedDetection& located, const store::DeliveryStatus& delivery) {
  write_id(w, "detection_id", located.id);
  write_fix(w, located.fix, located.verdict);
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
    w.key(sink);  // checked by the configuration: letters, digits, '-', '_', '.'
    w.string(store::delivery_state_name(state));
  }
  w.end_object();
  w.end_object();
}

void write_record(json::Writer& w, const store::StoredDetection& stored, const store::DeliveryStatus& delivery) {
  const auto& located = stored.located;
  write_answer(w, located, delivery);
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
  write_time(w, "timestamp", located.observed);
  write_time(w, "received", located.received);
  w.key("exercise");
  w.boolean(located.exercise);
  w.key("request");
  w.raw(stored.request_json);
}

void write_cursor(json::Writer& w, const std::optional<std::int64_t>& next_before) {
  w.key("next_cursor");
  if (next_before)
    w.string(std::to_string(*next_before));
  else
    w.null();
}

}  // namespace

void append_fix(std::string& out, const Fix& fix, const FlagVerdict& verdict) {
  json::Writer w(out);
  w.begin_object();
  write_fix(w, fix, verdict);
  w.end_object();
}

void append_answer(std::string& out, const LocatedDetection& located, const store::DeliveryStatus& delivery) {
  json::Writer w(out);
  w.begin_object();
  write_answer(w, located, delivery);
  w.end_object();
}

void append_record(std::string& out, const store::StoredDetection& stored, const store::DeliveryStatus& delivery) {
  json::Writer w(out);
  w.begin_object();
  write_record(w, stored, delivery);
  w.end_object();
}

void append_list(std::string& out, const store::ListPage& page) {
  json::Writer w(out);
  w.begin_object();
  w.key("items");
  w.begin_array();
  for (const auto& [stored, delivery] : page.items) {
    w.begin_object();
    write_record(w, stored, delivery);
    w.end_object();
  }
  w.end_array();
  write_cursor(w, page.next_before);
  w.end_object();
}

void append_geojson(std::string& out, const store::ListPage& page) {
  json::Writer w(out);
  w.begin_object();
  w.key("type");
  w.string("FeatureCollection");
  w.key("features");
  w.begin_array();
  for (const auto& [stored, delivery] : page.items) {
    const auto& fix = stored.located.fix;
    w.begin_object();
    w.key("type");
    w.string("Feature");
    write_id(w, "id", stored.located.id);
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
    write_record(w, stored, delivery);
    w.end_object();
    w.end_object();
  }
  w.end_array();
  write_cursor(w, page.next_before);
  w.end_object();
}

void append_timeline(std::string& out, const Uuid& id, const std::vector<store::AuditEvent>& events) {
  json::Writer w(out);
  w.begin_object();
  write_id(w, "detection_id", id);
  w.key("events");
  w.begin_array();
  for (const auto& event : events) {
    w.begin_object();
    write_time(w, "at", event.at);
    w.key("type");
    w.string(event.type);
    w.key("severity");
    w.string(event.severity);
    w.key("actor");
    w.string(event.actor);
    w.key("chain");
    w.string(event.chain);
    w.key("record");
    w.integer(event.record);
    w.key("detail");
    w.raw(event.detail_json);
    w.end_object();
  }
  w.end_array();
  w.end_object();
}

void append_delivery(std::string& out, const std::vector<store::SinkQueue>& queues,
                     const std::vector<pipeline::CourierStatus>& couriers, UtcMicros now) {
  json::Writer w(out);
  w.begin_object();
  w.key("sinks");
  w.begin_array();
  for (const auto& queue : queues) {
    w.begin_object();
    w.key("name");
    w.string(queue.sink);
    w.key("queued");
    w.integer(queue.queued);
    w.key("delivered");
    w.integer(queue.delivered);
    w.key("dead_letters");
    w.integer(queue.dead_letters);
    number_or_null(w, "oldest_queued_age_s",
                   queue.oldest_queued
                       ? std::optional(std::max(0.0, std::chrono::duration<double>(now - *queue.oldest_queued).count()))
                       : std::nullopt);
    const auto courier =
        std::find_if(couriers.begin(), couriers.end(), [&](const auto& status) { return status.sink == queue.sink; });
    w.key("configured");
    w.boolean(courier != couriers.end());
    if (courier != couriers.end()) {
      const auto& connection = courier->connection;
      w.key("url");
      w.string(courier->url);
      w.key("connected");
      w.boolean(connection.connected);
      w.key("confirms");
      w.boolean(courier->confirms);
      w.key("connections");
      w.integer(connection.connects);
      w.key("attempts");
      w.integer(connection.attempts);
      w.key("bytes_sent");
      w.integer(connection.bytes_sent);
      number_or_null(w, "round_trip_s",
                     connection.round_trip
                         ? std::optional(std::chrono::duration<double>(*connection.round_trip).count())
                         : std::nullopt);
      number_or_null(w, "server_clock_ahead_s",
                     connection.server_clock_ahead
                         ? std::optional(std::chrono::duration<double>(*connection.server_clock_ahead).count())
                         : std::nullopt);
      w.key("last_error");
      if (connection.last_error.empty())
        w.null();
      else
        w.string(connection.last_error);
    }
    w.end_object();
  }
  w.end_array();
  w.end_object();
}

store::DeliveryStatus initial_delivery(store::Disposition disposition, std::span<const std::string> sinks) {
  auto state = store::DeliveryState::kQueued;
  if (disposition == store::Disposition::kHold) state = store::DeliveryState::kHeld;
  if (disposition == store::Disposition::kDiscard) state = store::DeliveryState::kDiscarded;
  store::DeliveryStatus status{state, {}};
  status.sinks.reserve(sinks.size());
  for (const auto& sink : sinks) status.sinks.emplace_back(sink, state);
  return status;
}

}  // namespace detection::http
