#pragma once
// More JSON of answers. Private to http/.

#include <span>
#include <string>

#include "pipeline/courier.hpp"
#include "store/store.hpp"

namespace detection::http {

/// The record of GET: the answer's fields, what was asked, and the request as it is kept.
void append_record(std::string& out, const store::StoredDetection& stored, const store::DeliveryStatus& delivery);

/// {"items":[...],"next_cursor":...}
void append_list(std::string& out, const store::ListPage& page);
/// RFC 7946 FeatureCollection; positions [lon, lat] or [lon, lat, hae]. `next_cursor` as a foreign member.
void append_geojson(std::string& out, const store::ListPage& page);

/// {"detection_id":..., "events":[...]}
void append_timeline(std::string& out, const Uuid& id, const std::vector<store::AuditEvent>& events);

/// {"sinks":[...]}: queue and connection of each.
void append_delivery(std::string& out, const std::vector<store::SinkQueue>& queues,
                     const std::vector<pipeline::CourierStatus>& couriers, UtcMicros now);

/// The state that a detection has right after its acceptance.
[[nodiscard]] store::DeliveryStatus initial_delivery(store::Disposition disposition,
                                                     std::span<const std::string> sinks);

}  // namespace detection::http
