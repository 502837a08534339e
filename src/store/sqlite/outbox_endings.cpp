// How claims end: confirmed, and one by one as dead letters.

#include <algorithm>
#include <utility>

#include "detection/json_writer.hpp"
#include "store/sqlite/outbox.hpp"

namespace detection::store::sqlite {
namespace {

constexpr std::string_view kActor = "courier";

std::unexpected<Error> not_live(const Claim& claim) {
  return fail(ErrorCode::kConflict, "claim " + std::to_string(claim.number) + " of sink " + claim.sink +
                                        " has ended already or is being ended");
}

std::string dead_body(std::string_view sink, std::string_view reason, bool take_back) {
  std::string body;
  json::Writer w(body);
  w.begin_object();
  w.key("sink");
  w.string(sink);
  w.key("state");
  w.string(delivery_state_name(DeliveryState::kDeadLetter));
  w.key("reason");
  w.string(reason);
  if (take_back) {
    w.key("taken_back");
    w.boolean(true);
  }
  w.end_object();
  return body;
}

}  // namespace

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
  std::vector<Span> of_log;
  std::vector<Retry> retries;
  {
    const std::lock_guard lock(sink.mutex);
    auto live = begin_ending(sink, claim);
    if (!live) return std::unexpected(std::move(live.error()));
    span = (*live)->span;
    of_log = ranges(sink, **live, count);
    retries = (*live)->retries;
    // Counts only on what is durable already: two that are confirmed at once leave the cursor behind, and the ranges
    // beyond it say the rest.
    cursor = cursor_after(sink, span);
  }
  // One record for the log's part and the dead letters among the retries; a held one has its own.
  std::vector<std::pair<std::int64_t, std::int64_t>> delivered;
  std::size_t taken_back = 0;
  for (const auto& retry : retries) {
    if (retry.in_log) delivered.emplace_back(retry.sequence, retry.sequence);
    taken_back += retry.take_back ? 1 : 0;
  }
  const auto again = static_cast<std::int64_t>(delivered.size());
  for (const auto& range : of_log) delivered.emplace_back(range.first, range.last);
  const auto body = delivery_body(sink.name, how, sent, again + count, delivered);
  auto done = writer_.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    auto& db = ledger.database();
    auto moved = db.query("UPDATE sink SET cursor = max(cursor, ?), delivered = delivered + ? WHERE number = ?")
                     .bind(cursor)
                     .bind(again + count)
                     .bind(sink.number)
                     .run();
    if (!moved) return moved;
    std::optional<std::int64_t> record;
    if (!delivered.empty()) {
      auto written =
          ledger.append({.at = now, .type = kDeliveryType, .severity = "INFO", .actor = kActor, .body = body});
      if (!written) return std::unexpected(std::move(written.error()));
      record = *written;
    }
    for (const auto& [first, last] : of_log) {
      auto inserted = db.query("INSERT INTO delivery (sink, first_seq, last_seq, record) VALUES (?,?,?,?)")
                          .bind(sink.number)
                          .bind(first)
                          .bind(last)
                          .bind(record)
                          .run();
      if (!inserted) return inserted;
    }
    return end_retries(ledger, now, sink.named(), retries, how, sent, record);
  });
  {
    const std::lock_guard lock(sink.mutex);
    if (!done) {
      sink.live[claim.number].busy = false;
      return done;
    }
    forget_retries(sink, retries);
    sink.live.erase(claim.number);
    finish(sink, span);
  }
  const auto events = static_cast<std::size_t>(count) + retries.size();
  for (const auto type : kDeliveryEvents)
    writer_.count_audit(type, "INFO", type == kDeliveryEvents[1] ? events : events - taken_back);
  return {};
}

Result<void> Outbox::mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) {
  auto found = find(claim.sink);
  if (!found) return std::unexpected(std::move(found.error()));
  auto& sink = **found;
  const auto item = std::ranges::find(claim.items, sequence, &OutboxItem::sequence);
  if (item == claim.items.end())
    return fail(ErrorCode::kConflict, "detection " + std::to_string(sequence) + " is not in this claim");
  std::optional<Retry> retry;
  {
    const std::lock_guard lock(sink.mutex);
    auto live = begin_ending(sink, claim);
    if (!live) return std::unexpected(std::move(live.error()));
    const auto& retries = (*live)->retries;
    if (const auto one = std::ranges::find(retries, sequence, &Retry::sequence); one != retries.end()) retry = *one;
    const bool of_log = std::ranges::binary_search((*live)->sequences, sequence);
    if (!retry && (!of_log || sink.dead.contains(sequence))) {  // it is one already
      (*live)->busy = false;
      return {};
    }
  }
  const auto body = dead_body(sink.name, reason, retry && retry->take_back);
  auto done = writer_.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    auto record = ledger.append({.at = now,
                                 .type = "tak_push_failed",
                                 .severity = "ERROR",
                                 .actor = kActor,
                                 .subject = item->located.id.bytes,
                                 .body = body});
    if (!record) return std::unexpected(std::move(record.error()));
    if (retry) return bury_retry(ledger.database(), sink.number, *retry, now, reason);
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
    auto& live = sink.live[claim.number];
    live.busy = false;
    if (!done) return done;
    if (retry) {
      sink.retries_in_flight.erase(sequence);
      std::erase_if(live.retries, [sequence](const Retry& one) { return one.sequence == sequence; });
    } else {
      sink.dead.insert(sequence);
    }
  }
  writer_.count_audit("tak_push_failed", "ERROR", 1);
  return {};
}

}  // namespace detection::store::sqlite
