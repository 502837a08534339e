// What is read back: records, their CoT and audit events. The store may wait for the disk, so
// all of it runs on the workers.

#include "cot/event.hpp"
#include "detection/json_writer.hpp"
#include "http/api.hpp"
#include "http/detection_json.hpp"
#include "http/etag.hpp"
#include "http/list_query.hpp"
#include "http/resource_json.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kVaryAccept = "Vary: Accept\r\n";
/// Its delivery goes on: whoever keeps it asks again each time.
constexpr std::string_view kOfRecord = "Vary: Accept\r\nCache-Control: private, no-cache\r\n";

}  // namespace

void Api::read(Exchange& x, Workers& workers, Reading reading) {
  defer(x);
  const bool taken = workers.post([this, &x, reading = std::move(reading)](Workers::Bench&) mutable {
    loop_.post([this, &x, result = reading()]() mutable {
      if (!result) return refuse(x, std::move(result.error()));
      const Answer form{.status = result->status, .content_type = result->content_type, .headers = result->headers};
      x.answer_large(form, std::move(result->body));
    });
  });
  if (taken) return;
  state_.metrics.refused("worker_queue");
  refuse(x, {ErrorCode::kStoreUnavailable, "the service has as much to read as it takes"});
}

void Api::answer_tagged(Exchange& x, std::string_view content_type, std::string_view body, std::string_view etag,
                        std::string_view headers) {
  headers_.clear();
  headers_.append("ETag: ").append(etag).append("\r\n").append(headers);
  if (names_etag(x.head.if_none_match, etag)) return x.answer({.status = 304, .headers = headers_});
  x.answer({.content_type = content_type, .headers = headers_, .body = body});
}

Api::Rendered Api::tagged(Rendered rendered, std::string_view if_none_match) {
  const auto etag = etag_of(rendered.body);
  rendered.headers.append("ETag: ").append(etag).append("\r\n");
  if (!names_etag(if_none_match, etag)) return rendered;
  rendered.status = 304;
  rendered.body.clear();
  return rendered;
}

void Api::get_list(Exchange& x) {
  auto query = parse_list_query(x.head.query);
  if (!query) return refuse(x, std::move(query.error()));
  read(x, state_.workers, [this, query = std::move(*query), geo = x.notes.other_form]() -> Result<Rendered> {
    auto page = state_.rooms.store.list(query.filter, query.before, query.limit);
    if (!page) return std::unexpected(std::move(page.error()));
    Rendered rendered;
    if (geo) rendered.content_type = "application/geo+json";
    rendered.headers = kVaryAccept;
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
  read(x, state_.workers, [this, id, if_none_match = x.head.if_none_match]() -> Result<Rendered> {
    const auto record = read_detection(state_.rooms.store, state_.reads, id);
    if (!record) return std::unexpected(record.error());
    Rendered rendered;
    append_record(rendered.body, *record->stored, record->delivery);
    rendered.headers = kOfRecord;
    return tagged(std::move(rendered), if_none_match);
  });
}

void Api::get_cot(Exchange& x, const Uuid& id) {
  const bool negotiated = x.notes.wants_xml;
  read(x, state_.workers, [this, id, negotiated]() -> Result<Rendered> {
    const auto stored = find_detection(state_.rooms.store, state_.reads, id);
    if (!stored) return std::unexpected(stored.error());
    // Its stale time is new each time: no tag.
    Rendered rendered{.content_type = "application/xml", .headers = std::string(negotiated ? kVaryAccept : "")};
    cot::append_xml(rendered.body, cot::make_event((*stored)->located, system_now(), state_.rooms.event));
    return rendered;
  });
}

void Api::get_audit(Exchange& x, const Uuid& id) {
  read(x, state_.workers, [this, id]() -> Result<Rendered> {
    const auto stored = find_detection(state_.rooms.store, state_.reads, id);
    if (!stored) return std::unexpected(stored.error());
    const auto events = state_.rooms.store.timeline(id);
    if (!events) return std::unexpected(events.error());
    Rendered rendered;
    json::Writer w(rendered.body);
    w.begin_object();
    w.key("items");
    w.begin_array();
    for (const auto& event : *events) append_audit_event(w, event);
    w.end_array();
    if ((*stored)->located.exercise) {
      w.key("exercise");
      w.boolean(true);
    }
    w.end_object();
    return rendered;
  });
}

}  // namespace detection::http
