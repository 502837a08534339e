// POST /api/v1/detections/batch, on the workers: ten thousand detections would hold up an event thread for long.

#include "detection/json_writer.hpp"
#include "http/api.hpp"
#include "http/commit_log.hpp"
#include "http/detection_json.hpp"

namespace detection::http {
namespace {

constexpr std::size_t kBatchMost = 10'000;
constexpr std::size_t kResultBytes = 768;  ///< reserved for one result

/// "{...}" as `{"status":201,...}`.
void append_result(std::string& out, unsigned status, const LocatedDetection& located,
                   const store::DeliveryStatus& delivery, bool spooled) {
  out.append("{\"status\":");
  json::append_integer(out, status);
  const auto at = out.size();
  append_answer(out, located, delivery, spooled);
  out[at] = ',';
}

}  // namespace

void Api::post_batch(Exchange& x) {
  if (x.head.has_idempotency_key)
    return refuse(x, {ErrorCode::kValidationFailed,
                      "Idempotency-Key is for single detections; give each item its detection_id",
                      {{"Idempotency-Key", "is not for batches"}}});
  defer(x);
  if (state_.workers.post([this, &x](Workers::Bench& bench) { run_batch(x, bench); })) return;
  state_.metrics.refused("worker_queue");
  refuse(x, {ErrorCode::kStoreUnavailable, "the service has as much to do as it takes"});
}

void Api::refuse_later(Exchange& x, Error error) {
  loop_.post([this, &x, error = std::move(error)]() mutable { refuse(x, std::move(error)); });
}

void Api::run_batch(Exchange& x, Workers::Bench& bench) {
  const ParseRules rules{.now = x.received};
  auto detections = x.notes.other_form ? bench.parser.parse_lines(x.body, rules, kBatchMost)
                                       : bench.parser.parse_array(x.body, rules, kBatchMost);
  if (!detections) return refuse_later(x, std::move(detections.error()));
  charge_batch(x, detections->size());

  const pipeline::Provenance from{x.notes.principal->subject, x.request_id, x.received, x.trace_id};
  auto job = std::make_unique<store::CommitJob>();
  auto batch = std::make_unique<Batch>();
  batch->exchange = &x;
  batch->slots.reserve(detections->size());
  job->items.reserve(detections->size());
  for (auto& detection : *detections) {
    auto acceptance = detection ? state_.rooms.acceptor.accept(std::move(*detection), from, bench.mint)
                                : Result<store::Acceptance>(std::unexpected(std::move(detection.error())));
    if (acceptance) {
      batch->slots.push_back({job->items.size()});
      job->items.push_back(std::move(*acceptance));
    } else {
      state_.metrics.processed(Processed::kRejected, std::nullopt);
      batch->slots.push_back({0, std::move(acceptance.error())});
    }
  }
  if (job->items.empty()) return answer_batch(x, std::move(batch->slots), std::move(job));

  const auto items = job->items.size();
  job->home = &batch_home_;
  job->context = batch.get();
  state_.jobs_out.fetch_add(1, std::memory_order_relaxed);
  if (state_.rooms.store.submit(job)) {
    (void)batch.release();  // NOLINT(bugprone-unused-return-value): the job's context; taken back in committed()
    return;
  }
  state_.jobs_out.fetch_sub(1, std::memory_order_relaxed);
  state_.metrics.refused("store_queue");
  for (std::size_t i = 0; i < items; ++i) state_.metrics.processed(Processed::kError, std::nullopt);
  refuse_later(x, {ErrorCode::kStoreUnavailable, "the store has as much to write as it takes"});
}

void Api::BatchHome::committed(std::vector<std::unique_ptr<store::CommitJob>> jobs) noexcept {
  auto& api = api_;
  const auto count = jobs.size();
  for (auto& job : jobs) {
    std::unique_ptr<Batch> batch(static_cast<Batch*>(job->context));
    api.state_.workers.finish([&api, batch = std::move(batch), job = std::move(job)](Workers::Bench&) mutable {
      auto& x = *batch->exchange;
      if (job->error) {
        for (std::size_t i = 0; i < job->items.size(); ++i)
          api.state_.metrics.processed(Processed::kError, std::nullopt);
        return api.refuse_later(x, std::move(*job->error));
      }
      api.answer_batch(x, std::move(batch->slots), std::move(job));
    });
  }
  api.state_.jobs_out.fetch_sub(count, std::memory_order_release);
}

void Api::answer_batch(Exchange& x, std::vector<BatchSlot> slots, std::unique_ptr<store::CommitJob> job) {
  std::string out;
  out.reserve(slots.size() * kResultBytes + 64);
  out.append("{\"results\":[");
  bool first = true;
  for (const auto& slot : slots) {
    if (!std::exchange(first, false)) out.push_back(',');
    if (slot.error) {
      append_problem(out, *slot.error, {});
      continue;
    }
    const auto& item = job->items[slot.item];
    const auto& result = job->results[slot.item];
    const auto& metrics = state_.metrics;
    switch (result.outcome) {
      case store::CommitOutcome::kCreated:
        metrics.processed(Processed::kAccepted, item.located.verdict.flag);
        append_result(out, job->spooled ? 202 : 201, item.located, state_.at_acceptance(item.disposition, job->spooled),
                      job->spooled);
        break;
      case store::CommitOutcome::kRepeated:
        metrics.processed(Processed::kRepeated, result.first->located.verdict.flag);
        append_result(out, 200, result.first->located, state_.at_acceptance(result.first->disposition, job->spooled),
                      job->spooled);
        break;
      case store::CommitOutcome::kConflict:
        metrics.processed(Processed::kConflict, item.located.verdict.flag);
        append_problem(out,
                       {ErrorCode::kConflict,
                        "detection " + to_string(item.located.id) + " was accepted before with other content"},
                       {});
        break;
    }
  }
  out.append("]}");
  state_.metrics.processing(std::chrono::steady_clock::now() - x.arrived);
  log_commit(state_.rooms.log, x, *job);
  // Freed here: thousands of detections are no work for an event thread.
  job.reset();
  slots = {};
  loop_.post([&x, out = std::move(out)]() mutable { x.answer_large({}, std::move(out)); });
}

}  // namespace detection::http
