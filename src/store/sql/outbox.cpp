#include "store/sql/outbox.hpp"

#include <algorithm>

namespace detection::store::sql {

Result<std::shared_ptr<Outbox::Sink>> Outbox::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = sinks_.find(name);
  if (found == sinks_.end()) return fail(ErrorCode::kNotFound, "there is no sink " + std::string(name));
  return found->second;
}

std::vector<std::string> Outbox::sinks() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, sink] : sinks_) names.push_back(name);
  return names;
}

Result<void> Outbox::open_sink(std::string_view name, const QueueLimits& limits) {
  if (name.empty()) return fail(ErrorCode::kConfiguration, "a sink needs a name");
  writer_.capacity().set(name, limits);
  if (find(name)) return {};
  std::shared_ptr<Sink> sink;
  auto opened = writer_.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    sink = std::make_shared<Sink>();
    sink->name = name;
    auto& db = ledger.database();
    const auto& state = ledger.state();
    // The first sink of a store gets all that was ever queued in it.
    auto done = db.query(
                      "INSERT INTO sink (name, start, start_exceptional, cursor, delivered) SELECT ?1, first, "
                      "CASE WHEN first = 0 THEN 0 ELSE ?3 END, first, 0 FROM (SELECT CASE WHEN EXISTS "
                      "(SELECT 1 FROM sink) THEN ?2 ELSE 0 END AS first) AS beginning WHERE true "
                      "ON CONFLICT (name) DO NOTHING")
                    .bind(name)
                    .bind(state.head)
                    .bind(state.exceptional)
                    .run();
    if (!done) return done;
    const bool made = db.changes() == 1;
    if (done = load(db, *sink); !done || !made) return done;
    auto known = db.integer("SELECT count(*) FROM sink");
    if (!known) return std::unexpected(std::move(known.error()));
    return *known == 1 ? put_released(db, sink->number, now) : done;
  });
  if (!opened) return opened;
  const std::lock_guard lock(mutex_);
  sinks_.try_emplace(std::string(name), std::move(sink));
  return {};
}

Result<void> Outbox::load(Database& db, Sink& sink) {
  {
    auto q = db.query("SELECT number, cursor FROM sink WHERE name = ?");
    auto row = q.bind(sink.name).step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return fail(ErrorCode::kInternal, "the sink was not stored");
    sink.number = q.integer(0);
    sink.cursor = q.integer(1);
  }
  {
    auto q = db.query(
        "SELECT seq FROM dead_letter WHERE sink = ?1 AND in_log = 1 AND seq > ?2 UNION ALL "
        "SELECT seq FROM retry WHERE sink = ?1 AND in_log = 1 AND seq > ?2");
    q.bind(sink.number).bind(sink.cursor);
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      sink.dead.insert(q.integer(0));
    }
  }
  auto q = db.query(
      "SELECT first_seq, last_seq FROM delivery WHERE sink = ?1 AND first_seq > ?2 UNION ALL SELECT first_seq, "
      "last_seq "
      "FROM omission WHERE sink = ?1 AND first_seq > ?2 ORDER BY first_seq");
  q.bind(sink.number).bind(sink.cursor);
  sink.next = sink.cursor;
  const std::int64_t cursor = sink.cursor;
  std::vector<Span> delivered;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    delivered.push_back({q.integer(0), q.integer(1)});
  }
  std::int64_t end = cursor;
  for (const auto& span : delivered) {
    sink.due_again.add({end + 1, span.first - 1});
    end = sink.next = span.last;
  }
  for (const auto& span : delivered) finish(sink, span);
  return {};
}

Result<std::optional<SinkLeases::Lease>> Outbox::hold(Sink& sink) {
  if (auto lease = leases_->held(sink.name); lease && lease->epoch == sink.epoch) return lease;
  if (!leases_->available(sink.name)) return std::nullopt;
  Sink fresh;
  fresh.name = sink.name;
  std::optional<SinkLeases::Lease> lease;
  auto done = writer_.execute([&](Ledger& ledger, UtcMicros) -> Result<void> {
    auto taken = leases_->take(ledger.database(), sink.number, sink.name);
    if (!taken) return std::unexpected(std::move(taken.error()));
    lease = *taken;
    fresh.forget();
    return lease ? load(ledger.database(), fresh) : Result<void>();
  });
  if (!done) return std::unexpected(std::move(done.error()));
  if (!lease) return std::nullopt;
  leases_->taken(sink.name, *lease);
  sink.forget();
  sink.epoch = lease->epoch;
  sink.cursor = fresh.cursor;
  sink.next = fresh.next;
  sink.due_again = std::move(fresh.due_again);
  sink.done = std::move(fresh.done);
  sink.dead = std::move(fresh.dead);
  return lease;
}

Result<std::int64_t> Outbox::head(Database& db) const {
  if (leases_ == nullptr) return writer_.state().head;
  auto head = db.integer("SELECT head FROM log");
  if (!head) return std::unexpected(std::move(head.error()));
  return head->value_or(0);
}

bool Outbox::has_live_claims(std::string_view name) const {
  auto found = find(name);
  if (!found) return false;
  const std::lock_guard lock((*found)->mutex);
  return !(*found)->live.empty();
}

std::int64_t Outbox::cursor_after(const Sink& sink, Span span) {
  if (span.first != sink.cursor + 1) return sink.cursor;
  return sink.done.end_of(span.last + 1).value_or(span.last);
}

void Outbox::finish(Sink& sink, Span span) {
  if (span.empty()) return;
  sink.done.add(span);
  if (sink.done.front().first != sink.cursor + 1) return;
  sink.cursor = sink.done.front().last;
  sink.done.pop_front();
  sink.dead.erase(sink.dead.begin(), sink.dead.upper_bound(sink.cursor));
}

void Outbox::forget_retries(Sink& sink, const std::vector<Retry>& retries) {
  for (const auto& retry : retries) sink.retries_in_flight.erase(retry.sequence);
}

void Outbox::give_back(const Claim& claim) {
  auto found = find(claim.sink);
  if (!found) return;
  auto& sink = **found;
  const std::lock_guard lock(sink.mutex);
  const auto live = sink.live.find(claim.number);
  if (live == sink.live.end() || live->second.busy) return;
  sink.due_again.add(live->second.span);
  forget_retries(sink, live->second.retries);
  sink.live.erase(live);
}

void Outbox::shorten(Claim& claim, std::size_t count) {
  count = std::max<std::size_t>(count, 1);
  if (count >= claim.items.size()) return;
  auto found = find(claim.sink);
  if (!found) return;
  auto& sink = **found;
  const std::lock_guard lock(sink.mutex);
  const auto live = sink.live.find(claim.number);
  if (live == sink.live.end() || live->second.busy) return;
  auto& span = live->second.span;
  auto& sequences = live->second.sequences;
  auto& retries = live->second.retries;
  for (auto item = claim.items.begin() + static_cast<std::ptrdiff_t>(count); item != claim.items.end(); ++item) {
    const auto retry = std::ranges::find(retries, item->sequence, &Retry::sequence);
    if (retry != retries.end()) {
      sink.retries_in_flight.erase(item->sequence);
      retries.erase(retry);
      continue;
    }
    // The log's part is in order and at the end.
    const auto first = item->sequence;
    sink.due_again.add({first, span.last});
    span.last = first - 1;
    sequences.erase(std::ranges::lower_bound(sequences, first), sequences.end());
    break;
  }
  claim.items.resize(count);
}

}  // namespace detection::store::sql
