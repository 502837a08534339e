// What people decide: held detections released or rejected, dead letters tried again. Each waits for the store's
// writer, so it runs on the workers.

#include <algorithm>

#include "detection/json_writer.hpp"
#include "http/api.hpp"
#include "http/body_fields.hpp"
#include "http/detection_json.hpp"

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

}  // namespace

void Api::put_verify(Exchange& x, const Uuid& id) {
  auto fields = read_body(x.body, verify_fields());
  if (!fields) return refuse(x, std::move(fields.error()));
  store::Store::Verification verification{
      id,
      {fields->booleans[kVerifyVerified].value_or(false), std::move(fields->texts[kVerifyNotes]).value_or(""),
       x.notes.principal->subject, x.received},
      x.request_id};
  read(x, state_.workers, [this, verification = std::move(verification)]() -> Result<Rendered> {
    const auto verified = state_.rooms.store.verify(verification);
    if (!verified) return std::unexpected(verified.error());
    state_.reads.erase(verification.id);
    Rendered rendered;
    append_record(rendered.body, verified->stored, verified->delivery);
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
