// What a courier hears from its sink.

#include <algorithm>

#include "detection/json_writer.hpp"
#include "pipeline/sink_courier.hpp"

namespace detection::pipeline {

using std::chrono::steady_clock;
using Verdict = PoisonGuard::Verdict;

void SinkCourier::on(const Ready&) {
  ready_ = true;
  ready_since_ = system_now();
  ready_at_ = steady_clock::now();
  connected_.set(1);
  if (connections_++ > 0) reconnects_.increment();
  due_.store(true, std::memory_order_release);
  log_.info("tak_connected", "connected to the TAK server",
            {{"sink", name()}, {"url", tak::sink_url(options_.sink.address)}, {"connection", connections_}});
}

void SinkCourier::on(const Lost& lost) {
  ready_ = false;
  connected_.set(0);
  lost_reason_ = lost.reason;
  PoisonGuard::Loss loss{.server_served = served_};
  if (!in_flight_.empty()) loss.head = in_flight_.begin()->second.events->item(0).sequence;
  for (const auto& [number, batch] : in_flight_) loss.events += batch.events->size();
  // That the peer was too slow for a claim's time is no event's fault: less is sent at once from now on.
  const bool too_late = lost.reason == tak::kTooLate;
  if (too_late) in_time_most_ = std::max<std::size_t>(1, std::min(loss.events, in_time_most_) / 4);
  const auto verdict = too_late ? Verdict::kGoOn : guard_.lost(loss);
  for (auto& [number, batch] : in_flight_) {
    if (verdict == Verdict::kSetAside || verdict == Verdict::kGiveUp)
      aside_.push_back(std::move(batch));
    else
      store_.give_back(batch.claim());
  }
  in_flight_.clear();
  due_.store(true, std::memory_order_release);
  const auto events = static_cast<std::int64_t>(loss.events);
  log_.warning("tak_lost", "the connection to the TAK server ended; what it did not confirm is sent again",
               {{"sink", name()}, {"reason", lost.reason}, {"unconfirmed_events", events}});
  act_on(verdict);
  if (events == 0) return;
  failed_.increment(static_cast<double>(events));
  audit_failure(lost.reason, events);
}

void SinkCourier::act_on(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGoOn: return;
    case Verdict::kSetAside:
      log_.warning("tak_event_suspected",
                   "an event ended the connection each time; others are tried before it is given up",
                   {{"sink", name()}, {"detection_id", to_string(aside_.back().events->item(0).located.id)}});
      return;
    case Verdict::kGiveUp: {
      auto batch = std::move(aside_.back());
      aside_.pop_back();
      batch.dead.push_back({batch.events->item(0).sequence,
                            "the connection ended each time it was sent by itself, on connections that served; the "
                            "last time: " +
                                lost_reason_});
      ending_.push_back({std::move(batch)});
      return;
    }
    case Verdict::kTryAgain:
      for (const auto& batch : aside_) store_.give_back(batch.claim());
      aside_.clear();
      due_.store(true, std::memory_order_release);
      return;
  }
}

void SinkCourier::on(const Delivered& delivered) {
  const auto found = in_flight_.find(delivered.batch);
  if (found == in_flight_.end()) return;
  const auto how = delivered.how == tak::Delivery::kConfirmed ? store::Confirmation::kConfirmed
                                                              : store::Confirmation::kSentUnconfirmed;
  const auto arrived = found->second.arrived();
  in_time_most_ = std::min(options_.batch_events, in_time_most_ + std::max<std::size_t>(1, in_time_most_ / 16));
  ending_.push_back({std::move(found->second), how});
  in_flight_.erase(found);
  act_on(guard_.arrived(arrived));
}

void SinkCourier::on(const Refused& refused) {
  const auto found = in_flight_.find(refused.batch);
  if (found == in_flight_.end() || refused.index >= found->second.events->size()) return;
  found->second.dead.push_back({found->second.events->item(refused.index).sequence, refused.reason});
}

void SinkCourier::on(const NeverAnswers& answers) {
  confirms_.store(!answers.never, std::memory_order_relaxed);
  if (answers.never)
    log_.warning("tak_never_confirms", "the TAK server does not answer pings: deliveries count as sent, unconfirmed",
                 {{"sink", name()}});
  else
    log_.info("tak_confirms", "the TAK server answers pings: deliveries are confirmed", {{"sink", name()}});
}

void SinkCourier::audit_failure(std::string_view reason, std::int64_t events) {
  std::string detail;
  json::Writer w(detail);
  w.begin_object();
  w.key("sink");
  w.string(name());
  w.key("reason");
  w.string(reason);
  w.key("events");
  w.integer(events);
  w.end_object();
  if (auto done = store_.record({"tak_push_failed", "WARNING", "courier", std::nullopt, std::move(detail)}); !done)
    log_.error("audit_unwritten", "an audit record could not be written", {{"reason", done.error().detail}});
}

}  // namespace detection::pipeline
