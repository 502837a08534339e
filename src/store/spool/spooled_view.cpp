#include "store/spool/spooled_view.hpp"

#include <utility>

#include "detection/json_writer.hpp"

namespace detection::store::spool {
namespace {

constexpr std::string_view kChain = "spool";

bool contains(const BoundingBox& box, const LatLonHae& at) {
  if (at.lat_deg < box.south_deg || at.lat_deg > box.north_deg) return false;
  if (box.west_deg <= box.east_deg) return at.lon_deg >= box.west_deg && at.lon_deg <= box.east_deg;
  return at.lon_deg >= box.west_deg || at.lon_deg <= box.east_deg;
}

/// All but its state.
bool takes(const ListFilter& filter, const LocatedDetection& d) {
  return (!filter.bbox || contains(*filter.bbox, d.fix.position)) && (!filter.since || d.observed >= *filter.since) &&
         (!filter.until || d.observed < *filter.until) &&
         (!filter.object_class || d.object_class == *filter.object_class) &&
         (!filter.flag || d.verdict.flag == *filter.flag) && (!filter.source || d.source == *filter.source);
}

/// Without the members that have no text.
std::string object_of(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  for (const auto& [key, value] : members) {
    if (value.empty()) continue;
    w.key(key);
    w.string(value);
  }
  w.end_object();
  return out;
}

}  // namespace

StoredDetection stored_of(SpooledItem item) {
  StoredDetection stored;
  stored.located = std::move(item.acceptance->located);
  stored.disposition = item.acceptance->disposition;
  stored.request_json = std::move(item.acceptance->request_json);
  stored.content_sha256 = item.acceptance->content_sha256;
  return stored;
}

DeliveryStatus spooled_status(const SpooledItem& item, const std::vector<std::string>& sinks) {
  DeliveryStatus status{DeliveryState::kSpooled, {}};
  if (item.acceptance->disposition == Disposition::kDiscard) return status;
  for (const auto& sink : sinks) status.sinks.emplace_back(sink, DeliveryState::kSpooled);
  return status;
}

std::vector<AuditEvent> timeline_of(const SpooledItem& item) {
  const auto& a = *item.acceptance;
  const std::pair<std::string_view, UtcMicros> steps[] = {{"detection_received", a.times.received},
                                                          {"detection_validated", a.times.validated},
                                                          {"geolocation_calculated", a.times.located},
                                                          {"cot_generated", a.times.cot_made},
                                                          {"detection_queued", item.spooled}};
  std::vector<AuditEvent> events;
  for (const auto& [type, at] : steps)
    events.push_back({.at = at,
                      .type = std::string(type),
                      .severity = "INFO",
                      .actor = a.actor,
                      .chain = std::string(kChain),
                      .record = item.number,
                      .detail_json = "{}"});
  events.front().detail_json = object_of({{"request_id", a.request_id}, {"trace_id", a.trace_id}});
  events.back().detail_json = object_of({{"state", delivery_state_name(DeliveryState::kSpooled)}});
  return events;
}

ListPage spooled_page(std::vector<SpooledItem> items, const ListFilter& filter, const std::vector<std::string>& sinks,
                      std::size_t limit, std::size_t window) {
  ListPage page;
  for (auto& item : items) {
    if (page.items.size() == limit) return page;
    page.next_before = item.number;
    if (!item.acceptance || !takes(filter, item.acceptance->located)) continue;
    auto status = spooled_status(item, sinks);
    page.items.emplace_back(stored_of(std::move(item)), std::move(status));
  }
  if (items.size() < window) page.next_before.reset();
  return page;
}

}  // namespace detection::store::spool
