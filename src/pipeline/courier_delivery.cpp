// What a courier claims, sends and records.

#include <algorithm>

#include "pipeline/sink_courier.hpp"

namespace detection::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// While careful: how often to look whether the server has answered a ping, and how long to wait for that before an
/// event goes all the same (its loss then counts against nothing).
constexpr milliseconds kServesAgain{20};
constexpr milliseconds kServesMost{30'000};
/// While another process has the sink: short beside the time of its lease, long beside a question to the store.
constexpr milliseconds kElsewhereAgain{200};

bool over(const store::Claim& claim) {
  return claim.good_until && steady_clock::now() >= *claim.good_until;
}

}  // namespace

bool SinkCourier::server_serves() const {
  return !confirms_.load(std::memory_order_relaxed) || sink_->status().answers_pings;
}

SteadyTime SinkCourier::when_to_send(SteadyTime now) {
  if (!ready_ || in_flight_.size() >= window()) return SteadyTime::max();
  if (guard_.careful() && now < ready_at_ + kServesMost && !server_serves()) return now + kServesAgain;
  return std::max({pace_.next(now), patience_.again(), look_after_});
}

/// Until the sink's window is full, its pace is reached or nothing is due.
void SinkCourier::send_what_is_due() {
  while (in_flight_.size() < window()) {
    const auto now = steady_clock::now();
    if (when_to_send(now) > now) return;
    due_.store(false, std::memory_order_release);  // before the look: what comes later sets it again
    if (!send_some(now)) return;
  }
  due_.store(true, std::memory_order_release);  // the window was the end of it, not the queue
}

/// Whether to go on at once.
bool SinkCourier::send_some(SteadyTime now) {
  const auto batch = options_.batch_events;
  const auto tokens = std::min(pace_.available(now), in_time_most_ < batch ? in_time_most_ : SIZE_MAX);
  const auto look = rules_.take_all() ? std::min(batch, tokens) : std::max(batch, options_.look_ahead);
  auto claim = store_.claim(name(), guard_.at_once(look));
  if (!claim) {
    store_failed("claim_failed", "the outbox cannot be read; it is tried again", claim.error());
    return false;
  }
  store_answered();
  elsewhere_.store(claim->elsewhere, std::memory_order_relaxed);
  if (claim->elsewhere) look_after_ = steady_clock::now() + kElsewhereAgain;
  if (claim->items.empty()) {
    // Empty-handed for another reason than that nothing is due: that says nothing of the events.
    if (!claim->elsewhere && (aside_.empty() || store_.status().release.delivers)) act_on(guard_.nothing_else());
    end_batches();
    return false;
  }
  auto selection = select(claim->items, rules_, system_now());
  if (const auto kept = cut(selection, claim->items, tokens); kept < claim->items.size()) store_.shorten(*claim, kept);
  Batch made;
  made.events = std::make_shared<const ClaimedEvents>(std::move(*claim), std::move(selection), options_.event);
  made.sent = system_now();
  made.started = now;
  if (made.events->size() != 0) return send(std::move(made));
  // All of it is left out. Back to the loop, which also hears the sink and a stop: a filter may leave out very much.
  ending_.push_back({std::move(made)});
  end_batches();
  due_.store(true, std::memory_order_release);
  return false;
}

bool SinkCourier::send(Batch batch) {
  if (over(batch.claim())) {
    store_.give_back(batch.claim());
    due_.store(true, std::memory_order_release);
    look_after_ = steady_clock::now() + kElsewhereAgain;
    return false;
  }
  const auto number = ++last_number_;
  served_ = server_serves();
  if (!sink_->send(number, batch.events)) {
    store_.give_back(batch.claim());
    due_.store(true, std::memory_order_release);
    refused_ = true;  // until it says that there is room, or news of its connection comes
    return false;
  }
  pace_.take(batch.events->size());
  // Its news waits in the queue until this thread looks there.
  in_flight_.emplace(number, std::move(batch));
  return true;
}

void SinkCourier::end_batches() {
  if (steady_clock::now() < patience_.again()) return;
  while (!ending_.empty()) {
    const auto done = end(ending_.front());
    if (done) {
      count(ending_.front());
      log_ended(ending_.front());
    } else if (done.error().code == ErrorCode::kConflict) {
      // They are due again to the process that has the sink now, and its to record: no failure of theirs.
      log_.info("lease_lost", "another process has the sink since; what was sent is sent again by that one",
                {{"sink", name()}, {"events", ending_.front().batch.events->size()}, {"reason", done.error().detail}});
      store_.give_back(ending_.front().batch.claim());
    } else {
      return store_failed("delivery_unrecorded", "a delivered batch could not be recorded yet; it is tried again",
                          done.error());
    }
    store_answered();
    ending_.pop_front();
  }
}

void SinkCourier::store_failed(std::string_view event, std::string_view message, const Error& error) {
  if (patience_.failed(steady_clock::now())) log_.error(event, message, {{"sink", name()}, {"reason", error.detail}});
}

void SinkCourier::store_answered() {
  if (patience_.worked()) log_.info("store_back", "the store takes claims and confirmations again", {{"sink", name()}});
}

Result<void> SinkCourier::end(Ending& ending) {
  auto& batch = ending.batch;
  for (; batch.buried < batch.dead.size(); ++batch.buried) {
    const auto& [sequence, reason] = batch.dead[batch.buried];
    if (auto done = store_.mark_dead(batch.claim(), sequence, reason); !done) return done;
    const auto dead = std::ranges::find(batch.events->claim().items, sequence, &store::OutboxItem::sequence);
    log_.about({&dead->located.id, 1}, telemetry::Level::kError, "dead_letter",
               "an event was given up; it can be tried again",
               {{"sink", name()}, {"sequence", sequence}, {"reason", reason}});
  }
  return store_.confirm(batch.claim(), ending.how, batch.sent, batch.events->omitted());
}

/// What became of each detection, to be found by its id.
void SinkCourier::log_ended(const Ending& ending) {
  if (!log_.enabled(telemetry::Level::kInfo)) return;
  const auto& [batch, how] = ending;
  std::vector<Uuid> delivered, taken_back;
  for (std::size_t i = 0; i < batch.events->size(); ++i) {
    const auto& item = batch.events->item(i);
    if (std::ranges::find(batch.dead, item.sequence, &DeadEvent::sequence) != batch.dead.end()) continue;
    (item.take_back ? taken_back : delivered).push_back(item.located.id);
  }
  const std::string_view confirmation = how == store::Confirmation::kConfirmed ? "confirmed" : "sent, unconfirmed";
  log_.about(delivered, telemetry::Level::kInfo, "detection_delivered", "delivered to the TAK server",
             {{"sink", name()}, {"confirmation", confirmation}});
  log_.about(taken_back, telemetry::Level::kInfo, "detection_taken_back", "taken back from the TAK server",
             {{"sink", name()}, {"confirmation", confirmation}});
  log_omitted(*batch.events);
}

void SinkCourier::log_omitted(const ClaimedEvents& events) {
  if (events.omitted().empty()) return;
  auto omitted = events.omitted();
  std::ranges::sort(omitted, {}, &store::Omission::sequence);
  std::array<std::vector<Uuid>, std::tuple_size_v<decltype(omitted_)>> by_reason;
  for (const auto& item : events.claim().items) {
    const auto found = std::ranges::lower_bound(omitted, item.sequence, {}, &store::Omission::sequence);
    if (found != omitted.end() && found->sequence == item.sequence)
      by_reason[static_cast<std::size_t>(found->reason)].push_back(item.located.id);
  }
  for (std::size_t reason = 0; reason < by_reason.size(); ++reason)
    log_.about(by_reason[reason], telemetry::Level::kInfo, "detection_omitted", "not sent to the TAK server",
               {{"sink", name()}, {"reason", store::omit_reason_name(static_cast<store::OmitReason>(reason))}});
}

void SinkCourier::count(const Ending& ending) {
  const auto& [batch, how] = ending;
  for (const auto& omission : batch.events->omitted()) omitted_[static_cast<std::size_t>(omission.reason)].increment();
  dead_.increment(static_cast<double>(batch.dead.size()));
  const auto arrived = batch.arrived();
  if (arrived == 0) return;
  (how == store::Confirmation::kConfirmed ? success_ : unconfirmed_).increment(static_cast<double>(arrived));
  const auto now = steady_clock::now();
  duration_.observe(std::chrono::duration<double>(now - batch.started).count());
  double waited = 0;
  for (std::size_t i = 0; i < batch.events->size(); ++i)
    if (batch.events->item(i).located.received < ready_since_) ++waited;
  if (waited > 0) synced_.increment(waited);
  const std::scoped_lock lock(mutex_);
  delivered_.add(arrived, now);
}

}  // namespace detection::pipeline
