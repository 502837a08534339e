#include "store/sqlite/delivery_view.hpp"

#include <algorithm>
#include <limits>

namespace detection::store::sqlite {

Result<DeliveryView> DeliveryView::load(Database& db, const std::optional<std::vector<std::string>>& sinks) {
  DeliveryView view;
  {
    auto q = db.query("SELECT number, name, start, cursor FROM sink ORDER BY name");
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      if (!sinks || std::ranges::find(*sinks, q.text(1)) != sinks->end())
        view.sinks_.push_back({q.integer(0), std::string(q.text(1)), q.integer(2), q.integer(3), {}});
    }
  }
  for (auto& sink : view.sinks_) {
    auto q = db.query("SELECT first_seq, last_seq FROM delivery WHERE sink = ? AND first_seq > ?");
    q.bind(sink.number).bind(sink.cursor);
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      sink.delivered.add({q.integer(0), q.integer(1)});
    }
  }
  return view;
}

Result<void> DeliveryView::load_dead(Database& db, std::int64_t first, std::int64_t last) {
  dead_.clear();
  auto q = db.query("SELECT seq, sink FROM dead_letter WHERE seq BETWEEN ? AND ?");
  q.bind(first).bind(last);
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
    dead_.emplace(q.integer(0), q.integer(1));
  }
}

DeliveryState DeliveryView::state(const Sink& sink, std::int64_t sequence) const {
  if (dead_.contains({sequence, sink.number})) return DeliveryState::kDeadLetter;
  return sequence <= sink.cursor || sink.delivered.contains(sequence) ? DeliveryState::kDelivered
                                                                      : DeliveryState::kQueued;
}

DeliveryStatus DeliveryView::status(std::int64_t sequence, Disposition disposition) const {
  DeliveryStatus status;
  if (disposition == Disposition::kDiscard) {
    status.state = DeliveryState::kDiscarded;
    return status;
  }
  bool queued = false, dead = false;
  for (const auto& sink : sinks_) {
    if (sequence <= sink.start) continue;
    const auto of_sink = disposition == Disposition::kHold ? DeliveryState::kHeld : state(sink, sequence);
    queued |= of_sink == DeliveryState::kQueued;
    dead |= of_sink == DeliveryState::kDeadLetter;
    status.sinks.emplace_back(sink.name, of_sink);
  }
  // A dead letter wants somebody's attention, so it shows first.
  status.state = disposition == Disposition::kHold ? DeliveryState::kHeld
                 : dead                            ? DeliveryState::kDeadLetter
                 : queued || status.sinks.empty()  ? DeliveryState::kQueued
                                                   : DeliveryState::kDelivered;
  return status;
}

std::int64_t DeliveryView::reached() const {
  std::int64_t reached = 0;
  for (const auto& sink : sinks_) reached = std::max({reached, sink.cursor, sink.delivered.last()});
  return reached;
}

std::int64_t DeliveryView::done_up_to() const {
  // What came before all sinks belongs to none of them and is queued for the first that is made.
  if (sinks_.empty()) return 0;
  std::int64_t all = std::numeric_limits<std::int64_t>::max();
  for (const auto& sink : sinks_) all = std::min(all, sink.cursor);
  return std::ranges::any_of(sinks_, [](const Sink& s) { return s.start == 0; }) ? all : 0;
}

}  // namespace detection::store::sqlite
