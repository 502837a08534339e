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

}  // namespace

bool SinkCourier::server_serves() const {
  return !confirms_.load(std::memory_order_relaxed) || sink_->status().answers_pings;
}

SteadyTime SinkCourier::when_to_send(SteadyTime now) {
  if (!ready_ || in_flight_.size() >= window()) return SteadyTime::max();
  if (guard_.careful() && now < ready_at_ + kServesMost && !server_serves()) return now + kServesAgain;
  return pace_.next(now);
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
  const auto tokens = pace_.available(now);
  const auto batch = options_.batch_events;
  const auto look = rules_.take_all() ? std::min(batch, tokens) : std::max(batch, options_.look_ahead);
  auto claim = store_.claim(name(), guard_.at_once(look));
  if (!claim) {
    log_.error("claim_failed", "the outbox cannot be read", {{"sink", name()}, {"reason", claim.error().detail}});
    return false;
  }
  if (claim->items.empty()) {
    act_on(guard_.nothing_else());
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
  while (!ending_.empty()) {
    if (auto done = end(ending_.front()); !done) {
      log_.error("delivery_unrecorded", "a delivered batch could not be recorded yet; it is tried again",
                 {{"sink", name()}, {"reason", done.error().detail}});
      return;
    }
    count(ending_.front());
    ending_.pop_front();
  }
}

Result<void> SinkCourier::end(Ending& ending) {
  auto& batch = ending.batch;
  for (; batch.buried < batch.dead.size(); ++batch.buried) {
    const auto& [sequence, reason] = batch.dead[batch.buried];
    if (auto done = store_.mark_dead(batch.claim(), sequence, reason); !done) return done;
    log_.error("dead_letter", "an event was given up; it can be tried again",
               {{"sink", name()}, {"sequence", sequence}, {"reason", reason}});
  }
  return store_.confirm(batch.claim(), ending.how, batch.sent, batch.events->omitted());
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
