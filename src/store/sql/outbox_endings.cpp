// How claims end: confirmed, with what was left out of them, and one by one as dead letters.

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "detection/json_writer.hpp"
#include "store/sql/outbox.hpp"

namespace detection::store::sql {
namespace {

constexpr std::string_view kActor = "courier";

std::unexpected<Error> not_live(const Claim& claim) {
  return fail(ErrorCode::kConflict, "claim " + std::to_string(claim.number) + " of sink " + claim.sink +
                                        " has ended already or is being ended");
}

/// The connection broke: whether the commit came before that, only the store can say.
bool is_doubtful(const Error& error) {
  return error.code == ErrorCode::kStoreUnavailable;
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

Outbox::Ending Outbox::ending_of(const Sink& sink, const LiveClaim& live, const std::vector<Omission>& omitted) {
  std::unordered_map<std::int64_t, OmitReason> left_out;
  for (const auto& one : omitted) left_out.emplace(one.sequence, one.reason);
  const auto reason_of = [&](std::int64_t sequence) -> std::optional<OmitReason> {
    const auto found = left_out.find(sequence);
    return found == left_out.end() ? std::nullopt : std::optional(found->second);
  };
  Ending ending;
  ending.span = live.span;
  ending.retries = live.retries;
  for (auto& retry : ending.retries)
    if (!retry.take_back) retry.omitted = reason_of(retry.sequence);
  std::int64_t before = 0;
  std::optional<OmitReason> reason_before;
  for (const auto sequence : live.sequences) {
    if (sink.dead.contains(sequence)) continue;
    const auto reason = reason_of(sequence);
    // What lies between two of them is held or discarded unless a dead letter is among it.
    const bool joined = before != 0 && reason == reason_before && [&] {
      const auto dead = sink.dead.upper_bound(before);
      return dead == sink.dead.end() || *dead > sequence;
    }();
    if (reason) {
      ++ending.omitted_count;
      if (!joined) ending.omitted.push_back({{sequence, sequence}, *reason});
      ending.omitted.back().span.last = sequence;
    } else {
      ++ending.delivered_count;
      if (!joined) ending.delivered.push_back({sequence, sequence});
      ending.delivered.back().last = sequence;
    }
    before = sequence;
    reason_before = reason;
  }
  return ending;
}

/// By what it would write. One of retries only leaves nothing to be found; each of these ends once by itself.
Result<bool> Outbox::is_recorded(Database& db, const Sink& sink, const Ending& ending) {
  if (!ending.delivered.empty()) {
    auto q = db.query("SELECT 1 FROM delivery WHERE sink = ? AND first_seq = ?");
    return q.bind(sink.number).bind(ending.delivered.front().first).step();
  }
  if (!ending.omitted.empty()) {
    auto q = db.query("SELECT 1 FROM omission WHERE sink = ? AND first_seq = ?");
    return q.bind(sink.number).bind(ending.omitted.front().span.first).step();
  }
  return false;
}

namespace {

/// The records of a batch: one for what was delivered of the log and of the dead letters tried again, one for what was
/// left out of these. A held one has its own.
struct BatchBodies {
  std::string delivered, omitted;  ///< empty: none
  std::int64_t delivered_count = 0, omitted_count = 0;
};

Result<std::int64_t> append_batch(Ledger& ledger, UtcMicros now, std::string_view type, std::string_view body) {
  if (body.empty()) return 0;
  return ledger.append({.at = now, .type = type, .severity = "INFO", .actor = kActor, .body = body});
}

}  // namespace

Result<void> Outbox::confirm(const Claim& claim, Confirmation how, UtcMicros sent,
                             const std::vector<Omission>& omitted) {
  if (claim.items.empty()) return {};
  auto found = find(claim.sink);
  if (!found) return std::unexpected(std::move(found.error()));
  auto& sink = **found;
  Ending ending;
  std::int64_t cursor = 0, epoch = 0;
  bool doubt = false;
  {
    const std::lock_guard lock(sink.mutex);
    auto live = begin_ending(sink, claim);
    if (!live) return std::unexpected(std::move(live.error()));
    doubt = (*live)->doubt;
    ending = ending_of(sink, **live, omitted);
    // Counts only on what is durable already: two that are confirmed at once leave the cursor behind, and the ranges
    // beyond it say the rest.
    cursor = cursor_after(sink, ending.span);
    epoch = sink.epoch;
  }
  BatchBodies bodies{{}, {}, ending.delivered_count, ending.omitted_count};
  std::vector<std::pair<std::int64_t, std::int64_t>> delivered;
  std::vector<OmittedRange> left_out;
  std::size_t released = 0, released_omitted = 0, taken_back = 0;
  for (const auto& retry : ending.retries) {
    const Span one{retry.sequence, retry.sequence};
    if (!retry.in_log) {
      ++(retry.omitted ? released_omitted : released);
      taken_back += retry.take_back ? 1 : 0;
    } else if (retry.omitted) {
      left_out.push_back({one, *retry.omitted});
      ++bodies.omitted_count;
    } else {
      delivered.emplace_back(one.first, one.last);
      ++bodies.delivered_count;
    }
  }
  for (const auto& range : ending.delivered) delivered.emplace_back(range.first, range.last);
  left_out.insert(left_out.end(), ending.omitted.begin(), ending.omitted.end());
  if (!delivered.empty()) bodies.delivered = delivery_body(sink.name, how, sent, bodies.delivered_count, delivered);
  if (!left_out.empty()) bodies.omitted = omission_body(sink.name, left_out, bodies.omitted_count);
  auto done = writer_.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    auto& db = ledger.database();
    if (leases_ != nullptr)
      if (auto ours = leases_->check(db, sink.number, epoch); !ours) return ours;
    if (doubt) {
      auto recorded = is_recorded(db, sink, ending);
      if (!recorded) return std::unexpected(std::move(recorded.error()));
      if (*recorded) return {};
    }
    auto moved = db.query(
                       "UPDATE sink SET cursor = CASE WHEN cursor < ?1 THEN ?1 ELSE cursor END, delivered = delivered "
                       "+ ?2, omitted = omitted + ?3 WHERE number = ?4")
                     .bind(cursor)
                     .bind(bodies.delivered_count)
                     .bind(bodies.omitted_count)
                     .bind(sink.number)
                     .run();
    if (!moved) return moved;
    auto delivery = append_batch(ledger, now, kDeliveryType, bodies.delivered);
    if (!delivery) return std::unexpected(std::move(delivery.error()));
    auto omission = append_batch(ledger, now, kOmissionType, bodies.omitted);
    if (!omission) return std::unexpected(std::move(omission.error()));
    for (const auto& [first, last] : ending.delivered) {
      auto inserted = db.query("INSERT INTO delivery (sink, first_seq, last_seq, record) VALUES (?,?,?,?)")
                          .bind(sink.number)
                          .bind(first)
                          .bind(last)
                          .bind(*delivery)
                          .run();
      if (!inserted) return inserted;
    }
    for (const auto& range : ending.omitted)
      if (auto put = put_omission(db, sink.number, range, *omission); !put) return put;
    return end_retries(ledger, now, sink.named(), ending.retries, {how, sent, *delivery, *omission});
  });
  {
    const std::lock_guard lock(sink.mutex);
    const auto live = sink.live.find(claim.number);
    if (live == sink.live.end()) return done;  // taken anew meanwhile: it is known as it stands in the store
    if (!done) {
      live->second.busy = false;
      live->second.doubt |= is_doubtful(done.error());
      return done;
    }
    forget_retries(sink, ending.retries);
    sink.live.erase(live);
    finish(sink, ending.span);
  }
  const auto events = static_cast<std::size_t>(bodies.delivered_count) + released;
  for (const auto type : kDeliveryEvents)
    writer_.count_audit(type, "INFO", type == kDeliveryEvents[1] ? events : events - taken_back);
  writer_.count_audit(kOmissionType, "INFO", (bodies.omitted.empty() ? 0 : 1) + released_omitted);
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
  std::int64_t epoch = 0;
  bool doubt = false;
  {
    const std::lock_guard lock(sink.mutex);
    epoch = sink.epoch;
    auto live = begin_ending(sink, claim);
    if (!live) return std::unexpected(std::move(live.error()));
    doubt = (*live)->doubt;
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
    auto& db = ledger.database();
    if (leases_ != nullptr)
      if (auto ours = leases_->check(db, sink.number, epoch); !ours) return ours;
    if (doubt) {
      auto q = db.query("SELECT 1 FROM dead_letter WHERE seq = ? AND sink = ?");
      auto recorded = q.bind(sequence).bind(sink.number).step();
      if (!recorded) return std::unexpected(std::move(recorded.error()));
      if (*recorded) return {};
    }
    auto record = ledger.append({.at = now,
                                 .type = "tak_push_failed",
                                 .severity = "ERROR",
                                 .actor = kActor,
                                 .subject = item->located.id.bytes,
                                 .body = body});
    if (!record) return std::unexpected(std::move(record.error()));
    if (retry) return bury_retry(db, sink.number, *retry, now, reason);
    return db.query("INSERT INTO dead_letter (seq, sink, at, reason) VALUES (?,?,?,?)")
        .bind(sequence)
        .bind(sink.number)
        .bind(now.count)
        .bind(reason)
        .run();
  });
  {
    const std::lock_guard lock(sink.mutex);
    const auto found_live = sink.live.find(claim.number);
    if (found_live == sink.live.end()) return done;
    auto& live = found_live->second;
    live.busy = false;
    live.doubt |= !done && is_doubtful(done.error());
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

}  // namespace detection::store::sql
