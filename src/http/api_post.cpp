// POST /api/v1/detections: parse, locate, commit, answer. The hot path.

#include "cot/event.hpp"
#include "http/api.hpp"
#include "http/commit_log.hpp"
#include "http/detection_json.hpp"
#include "pipeline/normalise.hpp"

namespace detection::http {
namespace {

constexpr std::size_t kIdempotencyKeyMost = 255;

std::unexpected<Error> bad_key(std::string_view message) {
  return fail(ErrorCode::kValidationFailed, "Idempotency-Key " + std::string(message),
              {{"Idempotency-Key", std::string(message)}});
}

/// As the draft of the header has it a quoted string; most clients leave the quotes away.
Result<Uuid> id_of_key(std::string_view key) {
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
  if (key.empty() || key.size() > kIdempotencyKeyMost) return bad_key("must have 1 to 255 characters");
  for (const char c : key)
    if (c < 0x20 || c > 0x7e) return bad_key("must be printable ASCII");
  return pipeline::uuid_of_idempotency_key(key);
}

}  // namespace

Result<store::Acceptance> Api::prepare(const Exchange& x, DetectionParser& parser, UuidMint& mint) const {
  auto detection = parser.parse(x.body, {.now = x.received});
  if (!detection) return std::unexpected(std::move(detection.error()));
  if (x.body.size() > state_.options.body_bytes_most && !detection->image_sha256)
    return fail(ErrorCode::kPayloadTooLarge, "the body of a detection without an image may have at most " +
                                                 std::to_string(state_.options.body_bytes_most) + " bytes");
  if (x.head.has_idempotency_key) {
    const auto id = id_of_key(x.head.idempotency_key);
    if (!id) return std::unexpected(id.error());
    if (detection->id && *detection->id != *id)
      return fail(ErrorCode::kValidationFailed, "detection_id and Idempotency-Key are different",
                  {{"detection_id", "must be the same as Idempotency-Key where both are given"}});
    detection->id = *id;
  }
  const pipeline::Provenance from{x.notes.principal->subject, x.request_id, x.received, x.trace_id};
  return state_.rooms.acceptor.accept(std::move(*detection), from, mint);
}

void Api::post_detection(Exchange& x) {
  if (x.body.size() <= state_.options.body_bytes_most) return submit(x, prepare(x, parser_, mint_));
  // An image takes milliseconds to decode and hash.
  defer(x);
  const bool taken = state_.workers.post([this, &x](Workers::Bench& bench) {
    loop_.post(
        [this, &x, acceptance = prepare(x, bench.parser, bench.mint)]() mutable { submit(x, std::move(acceptance)); });
  });
  if (taken) return;
  state_.metrics.refused("worker_queue");
  refuse(x, {ErrorCode::kStoreUnavailable, "the service has as much to do as it takes"});
}

void Api::submit(Exchange& x, Result<store::Acceptance> acceptance) {
  if (!acceptance) {
    state_.metrics.processed(Processed::kRejected, std::nullopt);
    return refuse(x, std::move(acceptance.error()));
  }
  auto job = std::make_unique<store::CommitJob>();
  job->items.push_back(std::move(*acceptance));
  job->home = &home_;
  job->context = &x;
  if (!x.notes.in_progress) defer(x);
  state_.jobs_out.fetch_add(1, std::memory_order_relaxed);
  if (state_.rooms.store.submit(job)) return;
  state_.jobs_out.fetch_sub(1, std::memory_order_relaxed);
  state_.metrics.refused("store_queue");
  state_.metrics.processed(Processed::kError, std::nullopt);
  refuse(x, {ErrorCode::kStoreUnavailable, "the store has as much to write as it takes"});
}

void Api::Home::committed(std::vector<std::unique_ptr<store::CommitJob>> jobs) noexcept {
  const auto count = jobs.size();
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    first = jobs_.empty();
    if (first)
      jobs_ = std::move(jobs);
    else
      for (auto& job : jobs) jobs_.push_back(std::move(job));
  }
  // Whoever found it empty posts; the others' jobs are taken along.
  if (first) api_.loop_.post([api = &api_] { api->committed_home(); });
  // Nothing of this object may be touched behind this: the service may be waiting for it to end.
  api_.state_.jobs_out.fetch_sub(count, std::memory_order_release);
}

std::vector<std::unique_ptr<store::CommitJob>> Api::Home::take() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(jobs_, {});
}

void Api::committed_home() {
  for (const auto& job : home_.take()) answer_commit(*job);
}

void Api::answer_commit(store::CommitJob& job) {
  auto& x = *static_cast<Exchange*>(job.context);
  state_.metrics.processing(std::chrono::steady_clock::now() - x.arrived);
  if (job.error) {
    state_.metrics.processed(Processed::kError, std::nullopt);
    return refuse(x, std::move(*job.error));
  }
  log_commit(state_.rooms.log, x, job);
  const auto& item = job.items.front();
  const auto& result = job.results.front();
  switch (result.outcome) {
    case store::CommitOutcome::kCreated:
      state_.metrics.processed(Processed::kAccepted, item.located.verdict.flag);
      return answer_detection(x, job.spooled ? 202 : 201, item.located, item.disposition, job.spooled);
    case store::CommitOutcome::kRepeated:
      state_.metrics.processed(Processed::kRepeated, result.first->located.verdict.flag);
      return answer_detection(x, 200, result.first->located, result.first->disposition, job.spooled);
    case store::CommitOutcome::kConflict:
      state_.metrics.processed(Processed::kConflict, item.located.verdict.flag);
      return refuse(x, {ErrorCode::kConflict,
                        "detection " + to_string(item.located.id) + " was accepted before with other content"});
  }
}

void Api::answer_detection(Exchange& x, unsigned status, const LocatedDetection& located,
                           store::Disposition disposition, bool spooled) {
  body_.clear();
  headers_.clear();
  headers_.append("Location: /api/v1/detections/");
  append_uuid(headers_, located.id);
  headers_.append("\r\nX-Detection-ID: ");
  append_uuid(headers_, located.id);
  headers_.append("\r\nX-Confidence-Flag: ").append(flag_name(located.verdict.flag)).append("\r\n");
  Answer form;
  form.status = status;
  if (x.notes.wants_xml) {
    form.content_type = "application/xml";
    cot::append_xml(body_, cot::make_event(located, system_now(), state_.rooms.event));
  } else {
    append_answer(body_, located, state_.at_acceptance(disposition, spooled), spooled);
  }
  form.headers = headers_;
  form.body = body_;
  x.answer(form);
}

}  // namespace detection::http
