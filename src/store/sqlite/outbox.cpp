#include "store/sqlite/outbox.hpp"

#include <algorithm>

#include "detection/json_writer.hpp"
#include "store/sqlite/detection_row.hpp"
#include "store/sqlite/limits.hpp"

namespace detection::store::sqlite {
namespace {

constexpr std::string_view kActor = "courier";

std::unexpected<Error> not_live(const Claim& claim) {
  return fail(ErrorCode::kConflict, "claim " + std::to_string(claim.number) + " of sink " + claim.sink +
                                        " has ended already or is being ended");
}

}  // namespace

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

Result<void> Outbox::open_sink(std::string_view name) {
  if (name.empty()) return fail(ErrorCode::kConfiguration, "a sink needs a name");
  if (find(name)) return {};
  std::shared_ptr<Sink> sink;
  auto opened = writer_.execute([&](Ledger& ledger, UtcMicros) -> Result<void> {
    sink = std::make_shared<Sink>();
    sink->name = name;
    auto& db = ledger.database();
    const auto& state = ledger.state();
    // The first sink of a store gets all that was ever queued in it.
    auto done = db.query(
                      "INSERT INTO sink (name, start, start_exceptional, cursor, delivered) SELECT ?1, at, "
                      "CASE WHEN at = 0 THEN 0 ELSE ?3 END, at, 0 FROM (SELECT CASE WHEN EXISTS (SELECT 1 FROM sink) "
                      "THEN ?2 ELSE 0 END AS at) WHERE true ON CONFLICT (name) DO NOTHING")
                    .bind(name)
                    .bind(state.head)
                    .bind(state.exceptional)
                    .run();
    return done ? load(db, *sink) : done;
  });
  if (!opened) return opened;
  const std::lock_guard lock(mutex_);
  sinks_.try_emplace(std::string(name), std::move(sink));
  return {};
}

Result<void> Outbox::load(Database& db, Sink& sink) {
  {
    auto q = db.query("SELECT number, start, start_exceptional, cursor, delivered FROM sink WHERE name = ?");
    auto row = q.bind(sink.name).step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return fail(ErrorCode::kInternal, "the sink was not stored");
    sink.number = q.integer(0);
    sink.start = q.integer(1);
    sink.start_exceptional = q.integer(2);
    sink.cursor = q.integer(3);
    sink.delivered = q.integer(4);
  }
  {
    auto q = db.query("SELECT seq FROM dead_letter WHERE sink = ?");
    q.bind(sink.number);
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      ++sink.dead_letters;
      if (q.integer(0) > sink.cursor) sink.dead.insert(q.integer(0));
    }
  }
  auto q = db.query("SELECT first_seq, last_seq FROM delivery WHERE sink = ? AND first_seq > ? ORDER BY first_seq");
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

Result<std::vector<OutboxItem>> Outbox::read(const Sink& sink, Span span, std::size_t limit) {
  auto reader = readers_.lease();
  if (!reader) return std::unexpected(std::move(reader.error()));
  auto q = (*reader)->query("SELECT " DETECTION_LOCATED_COLUMNS
                            " FROM detection WHERE seq BETWEEN ? AND ? AND disposition = 0 ORDER BY seq");
  q.bind(span.first).bind(span.last);
  std::vector<OutboxItem> items;
  items.reserve(std::min<std::size_t>(limit, static_cast<std::size_t>(span.last - span.first + 1)));
  while (items.size() < limit) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    const auto sequence = q.integer(0);
    if (!sink.dead.empty() && sink.dead.contains(sequence)) continue;
    auto located = read_located(q);
    if (!located) return std::unexpected(std::move(located.error()));
    items.push_back({sequence, std::move(*located)});
  }
  return items;
}

Result<Claim> Outbox::claim(std::string_view name, std::size_t limit) {
  auto found = find(name);
  if (!found) return std::unexpected(std::move(found.error()));
  auto& sink = **found;
  limit = std::min(limit, limits::kClaimItems);
  const std::lock_guard lock(sink.mutex);
  Claim claim;
  claim.sink = sink.name;
  while (limit != 0) {
    const bool again = !sink.due_again.empty();
    // The head was taken after its commit, so all up to it can be read.
    const Span due = again ? sink.due_again.front() : Span{sink.next + 1, writer_.state().head};
    if (due.empty()) break;
    auto items = read(sink, due, limit);
    if (!items) return std::unexpected(std::move(items.error()));
    const Span covered{due.first, items->size() == limit ? items->back().sequence : due.last};
    if (again) {
      sink.due_again.pop_front();
      sink.due_again.add({covered.last + 1, due.last});
    } else {
      sink.next = covered.last;
    }
    if (items->empty()) {  // held ones and dead letters only
      finish(sink, covered);
      continue;
    }
    claim.number = ++last_claim_;
    auto& live = sink.live[claim.number];
    live.span = covered;
    live.sequences.reserve(items->size());
    for (const auto& item : *items) live.sequences.push_back(item.sequence);
    claim.items = std::move(*items);
    break;
  }
  return claim;
}

Result<Outbox::LiveClaim*> Outbox::begin_ending(Sink& sink, const Claim& claim) {
  const auto live = sink.live.find(claim.number);
  if (live == sink.live.end() || live->second.busy) return not_live(claim);
  live->second.busy = true;
  return &live->second;
}

std::vector<Span> Outbox::ranges(const Sink& sink, const LiveClaim& live, std::int64_t& count) {
  std::vector<Span> out;
  count = 0;
  for (const auto sequence : live.sequences) {
    if (sink.dead.contains(sequence)) continue;
    ++count;
    // What lies between two of them is held or discarded unless a dead letter is among it.
    const bool joined = !out.empty() && [&] {
      const auto dead = sink.dead.upper_bound(out.back().last);
      return dead == sink.dead.end() || *dead > sequence;
    }();
    if (joined)
      out.back().last = sequence;
    else
      out.push_back({sequence, sequence});
  }
  return out;
}

Result<void> Outbox::confirm(const Claim& claim, Confirmation how, UtcMicros sent) {
  if (claim.items.empty()) return {};
  auto found = find(claim.sink);
  if (!found) return std::unexpected(std::move(found.error()));
  auto& sink = **found;
  std::int64_t count = 0, cursor = 0;
  Span span;
  std::vector<std::pair<std::int64_t, std::int64_t>> delivered;
  {
    const std::lock_guard lock(sink.mutex);
    auto live = begin_ending(sink, claim);
    if (!live) return std::unexpected(std::move(live.error()));
    span = (*live)->span;
    for (const auto& range : ranges(sink, **live, count)) delivered.emplace_back(range.first, range.last);
    // Counts only on what is durable already: two that are confirmed at once leave the cursor behind, and the ranges
    // beyond it say the rest.
    cursor = cursor_after(sink, span);
  }
  const auto body = delivery_body(sink.name, how, sent, count, delivered);
  auto done = writer_.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    auto& db = ledger.database();
    auto moved = db.query("UPDATE sink SET cursor = max(cursor, ?), delivered = delivered + ? WHERE number = ?")
                     .bind(cursor)
                     .bind(count)
                     .bind(sink.number)
                     .run();
    if (!moved || count == 0) return moved;
    auto record = ledger.append({.at = now, .type = kDeliveryType, .severity = "INFO", .actor = kActor, .body = body});
    if (!record) return std::unexpected(std::move(record.error()));
    for (const auto& [first, last] : delivered) {
      auto inserted = db.query("INSERT INTO delivery (sink, first_seq, last_seq, record) VALUES (?,?,?,?)")
                          .bind(sink.number)
                          .bind(first)
                          .bind(last)
                          .bind(*record)
                          .run();
      if (!inserted) return inserted;
    }
    return {};
  });
  {
    const std::lock_guard lock(sink.mutex);
    if (!done) {
      sink.live[claim.number].busy = false;
      return done;
    }
    sink.live.erase(claim.number);
    sink.delivered += count;
    finish(sink, span);
  }
  for (const auto type : kDeliveryEvents) writer_.count_audit(type, "INFO", static_cast<std::size_t>(count));
  return {};
}

void Outbox::give_back(const Claim& claim) {
  auto found = find(claim.sink);
  if (!found) return;
  auto& sink = **found;
  const std::lock_guard lock(sink.mutex);
  const auto live = sink.live.find(claim.number);
  if (live == sink.live.end() || live->second.busy) return;
  sink.due_again.add(live->second.span);
  sink.live.erase(live);
}

Result<void> Outbox::mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) {
  auto found = find(claim.sink);
  if (!found) return std::unexpected(std::move(found.error()));
  auto& sink = **found;
  const auto item = std::ranges::find(claim.items, sequence, &OutboxItem::sequence);
  if (item == claim.items.end())
    return fail(ErrorCode::kConflict, "detection " + std::to_string(sequence) + " is not in this claim");
  {
    const std::lock_guard lock(sink.mutex);
    auto live = begin_ending(sink, claim);
    if (!live) return std::unexpected(std::move(live.error()));
    if (sink.dead.contains(sequence)) {
      (*live)->busy = false;
      return {};
    }
  }
  std::string body;
  json::Writer w(body);
  w.begin_object();
  w.key("sink");
  w.string(sink.name);
  w.key("state");
  w.string(delivery_state_name(DeliveryState::kDeadLetter));
  w.key("reason");
  w.string(reason);
  w.end_object();
  auto done = writer_.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    auto record = ledger.append({.at = now,
                                 .type = "tak_push_failed",
                                 .severity = "ERROR",
                                 .actor = kActor,
                                 .subject = item->located.id.bytes,
                                 .body = body});
    if (!record) return std::unexpected(std::move(record.error()));
    return ledger.database()
        .query("INSERT INTO dead_letter (seq, sink, at, reason) VALUES (?,?,?,?)")
        .bind(sequence)
        .bind(sink.number)
        .bind(now.count)
        .bind(reason)
        .run();
  });
  {
    const std::lock_guard lock(sink.mutex);
    sink.live[claim.number].busy = false;
    if (!done) return done;
    sink.dead.insert(sequence);
    ++sink.dead_letters;
  }
  writer_.count_audit("tak_push_failed", "ERROR", 1);
  return {};
}

}  // namespace detection::store::sqlite
