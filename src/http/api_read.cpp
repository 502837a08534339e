// What is read back: records, their CoT and audit events, the state of delivery. The store may wait for the disk, so
// all of it runs on the workers.

#include "cot/event.hpp"
#include "detection/json_writer.hpp"
#include "http/api.hpp"
#include "http/detection_json.hpp"
#include "http/list_query.hpp"

namespace detection::http {
namespace {

std::unexpected<Error> no_such_detection(const Uuid& id) {
  return fail(ErrorCode::kNotFound, "there is no detection " + to_string(id));
}

/// The record of an id, or why there is none.
Result<store::StoredDetection> find(store::Store& store, const Uuid& id) {
  auto found = store.find(id);
  if (!found) return std::unexpected(std::move(found.error()));
  if (!*found) return no_such_detection(id);
  return std::move(**found);
}

void optional_time(json::Writer& w, std::string_view key, const std::optional<UtcMicros>& time) {
  w.key(key);
  if (time)
    w.string(format_rfc3339_us(*time));
  else
    w.null();
}

void append_audit_event(json::Writer& w, const store::AuditEvent& event) {
  w.begin_object();
  w.key("time");
  w.string(format_rfc3339_us(event.at));
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
  w.raw(event.detail_json.empty() ? std::string_view("{}") : std::string_view(event.detail_json));
  w.end_object();
}

void append_sink(json::Writer& w, const pipeline::CourierStatus& courier, const store::SinkQueue* queue) {
  const auto& connection = courier.connection;
  w.begin_object();
  w.key("sink");
  w.string(courier.sink);
  w.key("url");
  w.string(courier.url);
  w.key("connected");
  w.boolean(connection.connected);
  w.key("confirms");
  w.boolean(courier.confirms);
  w.key("queued");
  w.integer(queue ? queue->queued : 0);
  w.key("delivered");
  w.integer(queue ? queue->delivered : 0);
  w.key("dead_letters");
  w.integer(queue ? queue->dead_letters : 0);
  optional_time(w, "oldest_queued", queue ? queue->oldest_queued : std::nullopt);
  w.key("connects");
  w.integer(connection.connects);
  w.key("attempts");
  w.integer(connection.attempts);
  w.key("bytes_sent");
  w.integer(connection.bytes_sent);
  w.key("bytes_received");
  w.integer(connection.bytes_received);
  w.key("round_trip_ms");
  if (connection.round_trip)
    w.number(static_cast<double>(connection.round_trip->count()) / 1000);
  else
    w.null();
  w.key("last_error");
  if (connection.last_error.empty())
    w.null();
  else
    w.string(connection.last_error);
  w.end_object();
}

}  // namespace

void Api::read(Exchange& x, Workers& workers, Reading reading) {
  defer(x);
  const bool taken = workers.post([this, &x, reading = std::move(reading)](Workers::Bench&) mutable {
    loop_.post([this, &x, result = reading()]() mutable {
      if (!result) return refuse(x, std::move(result.error()));
      Answer form;
      form.content_type = result->content_type;
      x.answer_large(form, std::move(result->body));
    });
  });
  if (taken) return;
  state_.metrics.refused("worker_queue");
  refuse(x, {ErrorCode::kStoreUnavailable, "the service has as much to read as it takes"});
}

void Api::get_list(Exchange& x) {
  auto query = parse_list_query(x.head.query);
  if (!query) return refuse(x, std::move(query.error()));
  read(x, state_.workers, [this, query = std::move(*query), geo = x.notes.other_form]() -> Result<Rendered> {
    auto page = state_.rooms.store.list(query.filter, query.before, query.limit);
    if (!page) return std::unexpected(std::move(page.error()));
    Rendered rendered;
    if (geo) rendered.content_type = "application/geo+json";
    rendered.body = geo ? "{\"type\":\"FeatureCollection\",\"features\":[" : "{\"items\":[";
    bool first = true;
    for (const auto& [stored, delivery] : page->items) {
      if (!std::exchange(first, false)) rendered.body.push_back(',');
      (geo ? append_feature : append_record)(rendered.body, stored, delivery);
    }
    rendered.body.append("],\"next_cursor\":");
    if (page->next_before)
      json::append_string(rendered.body, make_cursor(*page->next_before));
    else
      rendered.body.append("null");
    rendered.body.push_back('}');
    return rendered;
  });
}

void Api::get_one(Exchange& x, const Uuid& id) {
  if (x.notes.wants_xml) return get_cot(x, id);
  read(x, state_.workers, [this, id]() -> Result<Rendered> {
    const auto stored = find(state_.rooms.store, id);
    if (!stored) return std::unexpected(stored.error());
    const auto delivery = state_.rooms.store.delivery_status(id);
    if (!delivery) return std::unexpected(delivery.error());
    Rendered rendered;
    append_record(rendered.body, *stored, *delivery);
    return rendered;
  });
}

void Api::get_cot(Exchange& x, const Uuid& id) {
  read(x, state_.workers, [this, id]() -> Result<Rendered> {
    const auto stored = find(state_.rooms.store, id);
    if (!stored) return std::unexpected(stored.error());
    Rendered rendered{"application/xml", {}};
    cot::append_xml(rendered.body, cot::make_event(stored->located, system_now(), state_.rooms.event));
    return rendered;
  });
}

void Api::get_audit(Exchange& x, const Uuid& id) {
  read(x, state_.workers, [this, id]() -> Result<Rendered> {
    if (const auto stored = find(state_.rooms.store, id); !stored) return std::unexpected(stored.error());
    const auto events = state_.rooms.store.timeline(id);
    if (!events) return std::unexpected(events.error());
    Rendered rendered;
    json::Writer w(rendered.body);
    w.begin_object();
    w.key("items");
    w.begin_array();
    for (const auto& event : *events) append_audit_event(w, event);
    w.end_array();
    w.end_object();
    return rendered;
  });
}

void Api::get_delivery(Exchange& x) {
  read(x, state_.workers, [this]() -> Result<Rendered> {
    const auto queues = state_.rooms.store.sink_queues();
    if (!queues) return std::unexpected(queues.error());
    Rendered rendered;
    json::Writer w(rendered.body);
    w.begin_object();
    w.key("sinks");
    w.begin_array();
    for (const auto* courier : state_.rooms.couriers) {
      const auto status = courier->status();
      const store::SinkQueue* queue = nullptr;
      for (const auto& one : *queues)
        if (one.sink == status.sink) queue = &one;
      append_sink(w, status, queue);
    }
    w.end_array();
    w.end_object();
    return rendered;
  });
}

}  // namespace detection::http
