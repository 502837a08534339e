// /health, /ready, /metrics, /openapi.json, /problems/{code}.

#include <algorithm>

#include "detection/json_writer.hpp"
#include "http/api.hpp"
#include "http/docs_page.hpp"
#include "http/etag.hpp"
#include "http/open_api.hpp"
#include "http/problem.hpp"

namespace detection::http {
namespace {

/// An event thread that has not turned for so long is stuck.
constexpr std::chrono::seconds kSilenceMost{10};

void answer_json(Exchange& x, unsigned status, std::string_view body) {
  Answer form;
  form.status = status;
  form.headers = "Cache-Control: no-store\r\n";
  form.body = body;
  x.answer(form);
}

bool takes_more(const store::SpoolStatus& spool) {
  return spool.writable && spool.items < spool.capacity_items && spool.bytes < spool.capacity_bytes;
}

void append_spool(json::Writer& w, const std::optional<store::SpoolStatus>& spool) {
  w.key("spool");
  if (!spool) return w.null();
  w.begin_object();
  w.key("writable");
  w.boolean(spool->writable);
  w.key("items");
  w.integer(spool->items);
  w.key("capacity_items");
  w.integer(spool->capacity_items);
  w.key("bytes");
  w.integer(spool->bytes);
  w.key("capacity_bytes");
  w.integer(spool->capacity_bytes);
  w.key("oldest_age_s");
  if (spool->oldest)
    w.number(std::max(0.0, std::chrono::duration<double>(system_now() - *spool->oldest).count()));
  else
    w.null();
  w.key("conflicts");
  w.integer(spool->conflicts);
  w.end_object();
}

void append_release(json::Writer& w, const store::ReleaseStatus& release) {
  w.key("release");
  w.begin_object();
  w.key("slot");
  w.string(release.slot);
  w.key("active_slot");
  if (release.active_slot)
    w.string(*release.active_slot);
  else
    w.null();
  w.key("delivers");
  w.boolean(release.delivers);
  w.end_object();
}

}  // namespace

void Api::get_health(Exchange& x) {
  const bool alive = state_.server == nullptr || state_.server->longest_silence() < kSilenceMost;
  body_.clear();
  json::Writer w(body_);
  w.begin_object();
  w.key("status");
  w.string(alive ? "ok" : "stuck");
  w.key("version");
  w.string(state_.options.version);
  w.key("commit");
  w.string(state_.options.commit);
  w.key("slot");
  w.string(state_.options.slot);
  w.key("uptime_s");
  w.integer(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - state_.started).count());
  w.end_object();
  if (!alive) x.notes.failure = "an event thread is stuck";
  answer_json(x, alive ? 200 : 503, body_);
}

void Api::get_ready(Exchange& x) {
  const auto store = state_.rooms.store.status();
  const bool draining = state_.draining.load(std::memory_order_relaxed);
  const bool complete = state_.complete.load(std::memory_order_acquire);
  const bool takes = store.writable || (store.spool && takes_more(*store.spool));
  const bool ready = takes && !draining && complete;
  body_.clear();
  json::Writer w(body_);
  w.begin_object();
  w.key("status");
  w.string(ready ? "ready" : "not_ready");
  w.key("reason");
  if (ready)
    w.null();
  else
    w.string(draining      ? "draining"
             : !complete   ? "starting"
             : store.spool ? "neither the store nor its spool can take a detection"
                           : "the store cannot take a detection");
  w.key("store");
  w.begin_object();
  w.key("writable");
  w.boolean(store.writable);
  w.key("waiting");
  w.integer(store.waiting);
  w.key("reason");
  if (store.writable)
    w.null();
  else
    w.string(store.reason);
  w.end_object();
  append_spool(w, store.spool);
  append_release(w, store.release);
  // TAK's state is told here and never decides.
  w.key("sinks");
  w.begin_array();
  for (const auto* courier : state_.rooms.couriers) {
    const auto status = courier->status();
    w.begin_object();
    w.key("sink");
    w.string(status.sink);
    w.key("connected");
    w.boolean(status.connection.connected);
    w.key("confirms");
    w.boolean(status.confirms);
    w.end_object();
  }
  w.end_array();
  w.end_object();
  if (!ready) x.notes.failure = draining ? "draining" : store.reason;
  answer_json(x, ready ? 200 : 503, body_);
}

void Api::get_metrics(Exchange& x) {
  read(x, state_.scraper, [this]() -> Result<Rendered> {
    return Rendered{"text/plain; version=0.0.4; charset=utf-8", state_.rooms.metrics.expose()};
  });
}

void Api::get_open_api(Exchange& x) {
  static const std::string tag = etag_of(open_api_document());
  answer_tagged(x, "application/json", open_api_document(), tag, "Cache-Control: no-cache\r\n");
}

void Api::get_docs(Exchange& x) {
  const auto& page = docs_page();
  static const std::string tag = etag_of(page.html);
  static const std::string headers =
      "Cache-Control: no-cache\r\nContent-Security-Policy: " + page.content_security_policy + "\r\n";
  answer_tagged(x, "text/html; charset=utf-8", page.html, tag, headers);
}

void Api::get_problem(Exchange& x, std::string_view code) {
  const auto* known = find_error_code(code);
  if (known == nullptr) return refuse(x, {ErrorCode::kNotFound, "there is no such code"});
  body_.clear();
  Answer form;
  if (x.notes.other_form) {
    append_problem_page_html(body_, *known);
    form.content_type = "text/html; charset=utf-8";
  } else {
    append_problem_page_json(body_, *known);
  }
  form.body = body_;
  x.answer(form);
}

}  // namespace detection::http
