#include "store/sql/delivery_view.hpp"

#include <algorithm>
#include <limits>

#include "store/sql/omissions.hpp"

namespace detection::store::sql {

namespace {

/// What becomes of the whole when nobody has to decide. A dead letter wants somebody's attention, so it shows first.
DeliveryState state_of_all(const std::vector<std::pair<std::string, DeliveryState>>& sinks) {
  const auto any = [&](DeliveryState state) {
    return std::ranges::find(sinks, state, &std::pair<std::string, DeliveryState>::second) != sinks.end();
  };
  if (any(DeliveryState::kDeadLetter)) return DeliveryState::kDeadLetter;
  if (any(DeliveryState::kQueued) || sinks.empty()) return DeliveryState::kQueued;
  return any(DeliveryState::kDelivered) ? DeliveryState::kDelivered : DeliveryState::kDiscarded;
}

}  // namespace

Result<DeliveryView> DeliveryView::load(Database& db, const std::optional<std::vector<std::string>>& sinks) {
  DeliveryView view;
  {
    auto q = db.query("SELECT number, name, start, cursor FROM sink ORDER BY name");
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      if (!sinks || std::ranges::find(*sinks, q.text(1)) != sinks->end())
        view.sinks_.push_back({q.integer(0), std::string(q.text(1)), q.integer(2), q.integer(3), {}, {}});
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

Result<void> DeliveryView::read_pairs(Query q, SequenceAndSink& pairs) {
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
    pairs.emplace(q.integer(0), q.integer(1));
  }
}

Result<void> DeliveryView::load_exceptions(Database& db, std::int64_t first, std::int64_t last) {
  dead_.clear();
  retries_.clear();
  omitted_late_.clear();
  decisions_.clear();
  for (auto& sink : sinks_) {
    auto omitted = omitted_within(db, sink.number, first, last);
    if (!omitted) return std::unexpected(std::move(omitted.error()));
    sink.omitted = std::move(*omitted);
  }
  const auto within = [&](std::string_view sql) { return std::move(db.query(sql).bind(first).bind(last)); };
  if (auto done = read_pairs(within("SELECT seq, sink FROM dead_letter WHERE seq BETWEEN ? AND ?"), dead_); !done)
    return done;
  if (auto done = read_pairs(within("SELECT seq, sink FROM retry WHERE seq BETWEEN ? AND ?"), retries_); !done)
    return done;
  if (auto done = read_pairs(within("SELECT seq, sink FROM omission_late WHERE seq BETWEEN ? AND ?"), omitted_late_);
      !done)
    return done;
  auto q = within("SELECT " DECISION_COLUMNS ", seq FROM decision WHERE seq BETWEEN ? AND ? ORDER BY seq, number");
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
    decisions_.insert_or_assign(q.integer(kDecisionColumns), read_decision(q));
  }
}

std::optional<Decision> DeliveryView::decision(std::int64_t sequence) const {
  const auto found = decisions_.find(sequence);
  return found == decisions_.end() ? std::nullopt : std::optional(found->second.decision);
}

DeliveryState DeliveryView::of_log(const Sink& sink, std::int64_t sequence) const {
  const std::pair key{sequence, sink.number};
  if (dead_.contains(key)) return DeliveryState::kDeadLetter;
  if (retries_.contains(key)) return DeliveryState::kQueued;
  if (sink.omitted.contains(sequence)) return DeliveryState::kDiscarded;
  return sequence <= sink.cursor || sink.delivered.contains(sequence) ? DeliveryState::kDelivered
                                                                      : DeliveryState::kQueued;
}

DeliveryState DeliveryView::of_decided(const Sink& sink, std::int64_t sequence, bool verified) const {
  const std::pair key{sequence, sink.number};
  if (dead_.contains(key)) return DeliveryState::kDeadLetter;
  if (retries_.contains(key)) return DeliveryState::kQueued;  // a take-back, where it was rejected
  if (!verified) return DeliveryState::kRejected;
  return omitted_late_.contains(key) ? DeliveryState::kDiscarded : DeliveryState::kDelivered;
}

DeliveryStatus DeliveryView::held_status(std::int64_t sequence) const {
  DeliveryStatus status;
  const auto found = decisions_.find(sequence);
  const auto* decided = found == decisions_.end() ? nullptr : &found->second;
  for (const auto& sink : sinks_) {
    // A release goes to every sink there is, a rejection speaks of them all.
    if (decided != nullptr && sink.number > released_to(*decided)) continue;
    const auto of_sink =
        decided == nullptr ? DeliveryState::kHeld : of_decided(sink, sequence, decided->decision.verified);
    status.sinks.emplace_back(sink.name, of_sink);
  }
  status.state = decided == nullptr            ? DeliveryState::kHeld
                 : !decided->decision.verified ? DeliveryState::kRejected
                                               : state_of_all(status.sinks);
  return status;
}

DeliveryStatus DeliveryView::status(std::int64_t sequence, Disposition disposition) const {
  if (disposition == Disposition::kHold) return held_status(sequence);
  DeliveryStatus status;
  if (disposition == Disposition::kDiscard) {
    status.state = DeliveryState::kDiscarded;
    return status;
  }
  for (const auto& sink : sinks_) {
    if (sequence <= sink.start) continue;
    status.sinks.emplace_back(sink.name, of_log(sink, sequence));
  }
  status.state = state_of_all(status.sinks);
  return status;
}

std::int64_t DeliveryView::done_up_to() const {
  // What came before all sinks belongs to none of them and is queued for the first that is made.
  if (sinks_.empty()) return 0;
  std::int64_t all = std::numeric_limits<std::int64_t>::max();
  for (const auto& sink : sinks_) all = std::min(all, sink.cursor);
  return std::ranges::any_of(sinks_, [](const Sink& s) { return s.start == 0; }) ? all : 0;
}

}  // namespace detection::store::sql
