// The operator's view of delivery: what each sink does, what it did not get, and that once more. The store may wait for
// the disk, so all of it runs on the workers.

#include <algorithm>

#include "detection/json_writer.hpp"
#include "http/api.hpp"
#include "http/list_query.hpp"
#include "http/resource_json.hpp"

namespace detection::http {
namespace {

constexpr std::size_t kSinkNameMost = 64;

/// As the configuration allows names of sinks to be; anything else is none of ours and is not repeated to anybody.
bool is_sink_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kSinkNameMost && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string_view state_word(tak::SinkState state) noexcept {
  switch (state) {
    case tak::SinkState::kConnecting: return "connecting";
    case tak::SinkState::kConnected: return "connected";
    case tak::SinkState::kWaiting: return "waiting";
  }
  return "waiting";
}

void milliseconds_member(json::Writer& w, std::string_view key, const std::optional<std::chrono::microseconds>& time) {
  w.key(key);
  if (time)
    w.number(static_cast<double>(time->count()) / 1000);
  else
    w.null();
}

void limit_member(json::Writer& w, std::string_view key, std::int64_t limit) {
  w.key(key);
  if (limit > 0)
    w.integer(limit);
  else
    w.null();
}

void connection_members(json::Writer& w, const tak::SinkStatus& connection) {
  w.key("state");
  w.string(state_word(connection.state));
  append_time(w, "since", connection.since);
  w.key("connected");
  w.boolean(connection.connected);
  w.key("protocol");
  w.string(connection.protocol);
  w.key("last_error");
  if (connection.last_error.empty())
    w.null();
  else
    w.string(connection.last_error);
  append_time(w, "last_error_at", connection.last_error_at);
  append_time(w, "certificate_expires", connection.certificate_expires);
  milliseconds_member(w, "round_trip_ms", connection.round_trip);
  milliseconds_member(w, "server_clock_ahead_ms", connection.server_clock_ahead);
  w.key("connects");
  w.integer(connection.connects);
  w.key("attempts");
  w.integer(connection.attempts);
  w.key("bytes_sent");
  w.integer(connection.bytes_sent);
  w.key("bytes_received");
  w.integer(connection.bytes_received);
}

void queue_members(json::Writer& w, const store::SinkQueue& queue, UtcMicros now) {
  w.key("queued");
  w.integer(queue.queued);
  append_time(w, "oldest_queued", queue.oldest_queued);
  w.key("oldest_age_s");
  if (queue.oldest_queued)
    w.number(static_cast<double>(std::max<std::int64_t>(0, (now - *queue.oldest_queued).count())) / 1e6);
  else
    w.null();
  w.key("queued_bytes");
  w.integer(queue.bytes);
  limit_member(w, "capacity_items", queue.limits.items);
  limit_member(w, "capacity_bytes", queue.limits.bytes);
  w.key("delivered");
  w.integer(queue.delivered);
  w.key("omitted");
  w.integer(queue.omitted);
  w.key("dead_letters");
  w.integer(queue.dead_letters);
}

/// Whether this process sends to the sink, and why.
void delivers_members(json::Writer& w, const pipeline::CourierStatus& courier, const store::ReleaseStatus& release) {
  const bool delivers = release.delivers && !courier.elsewhere;
  w.key("delivers");
  w.boolean(delivers);
  w.key("delivers_reason");
  if (delivers)
    w.string("this process delivers: " + store::release_words(release));
  else
    w.string(release.delivers ? "another process delivers" : store::release_words(release));
}

void append_sink(json::Writer& w, const pipeline::CourierStatus& courier, const store::SinkQueue& queue,
                 const store::ReleaseStatus& release, UtcMicros now) {
  w.begin_object();
  w.key("sink");
  w.string(courier.sink);
  w.key("url");
  w.string(courier.url);
  delivers_members(w, courier, release);
  connection_members(w, courier.connection);
  w.key("confirms");
  w.boolean(courier.confirms);
  w.key("confirmation");
  w.string(courier.confirms ? "confirmed" : "sent, unconfirmed");
  queue_members(w, queue, now);
  w.key("delivered_per_s");
  w.number(courier.delivered_per_s);
  w.key("rate_cap_per_s");
  if (courier.rate_per_s)
    w.number(*courier.rate_per_s);
  else
    w.null();
  w.end_object();
}

void append_dead_letter(json::Writer& w, const store::DeadLetter& letter) {
  w.begin_object();
  w.key("detection_id");
  w.string(to_string(letter.id));
  w.key("cot_uid");
  w.string(letter.cot_uid);
  w.key("take_back");
  w.boolean(letter.take_back);
  append_time(w, "time", letter.at);
  w.key("reason");
  w.string(letter.reason);
  w.end_object();
}

}  // namespace

void Api::get_delivery(Exchange& x) {
  read(x, state_.workers, [this]() -> Result<Rendered> {
    const auto queues = state_.rooms.store.sink_queues();
    if (!queues) return std::unexpected(queues.error());
    const auto now = system_now();
    const auto release = state_.rooms.store.status().release;
    Rendered rendered;
    json::Writer w(rendered.body);
    w.begin_object();
    w.key("sinks");
    w.begin_array();
    for (const auto* courier : state_.rooms.couriers) {
      const auto status = courier->status();
      const auto queue = std::ranges::find(*queues, status.sink, &store::SinkQueue::sink);
      append_sink(w, status, queue == queues->end() ? store::SinkQueue{} : *queue, release, now);
    }
    w.end_array();
    w.end_object();
    return rendered;
  });
}

void Api::get_dead_letters(Exchange& x, std::string_view sink) {
  if (!is_sink_name(sink)) return refuse(x, {ErrorCode::kNotFound, "there is no such sink"});
  const auto query = parse_dead_letter_query(x.head.query);
  if (!query) return refuse(x, query.error());
  read(x, state_.workers, [this, sink, query = *query]() -> Result<Rendered> {
    const auto page = state_.rooms.store.dead_letters(sink, query.before, query.limit);
    if (!page) return std::unexpected(page.error());
    Rendered rendered;
    json::Writer w(rendered.body);
    w.begin_object();
    w.key("items");
    w.begin_array();
    for (const auto& letter : page->items) append_dead_letter(w, letter);
    w.end_array();
    w.key("next_cursor");
    if (page->next_before)
      w.string(make_cursor(*page->next_before));
    else
      w.null();
    w.end_object();
    return rendered;
  });
}

void Api::post_retry(Exchange& x, std::string_view sink) {
  if (!is_sink_name(sink)) return refuse(x, {ErrorCode::kNotFound, "there is no such sink"});
  read(x, state_.workers, [this, sink, actor = x.notes.principal->subject]() -> Result<Rendered> {
    const auto retried = state_.rooms.store.retry_dead_letters(sink, actor);
    if (!retried) return std::unexpected(retried.error());
    Rendered rendered;
    json::Writer w(rendered.body);
    w.begin_object();
    w.key("sink");
    w.string(sink);
    w.key("retried");
    w.integer(*retried);
    w.end_object();
    return rendered;
  });
}

}  // namespace detection::http
