// Claiming: what is due beside the log first, but never all of a claim while the log has something too.

#include <algorithm>
#include <iterator>

#include "store/sql/detection_row.hpp"
#include "store/sql/limits.hpp"
#include "store/sql/outbox.hpp"

namespace detection::store::sql {

Result<std::vector<OutboxItem>> Outbox::read(Database& db, const Sink& sink, Span span, std::size_t limit) {
  std::vector<OutboxItem> items;
  items.reserve(std::min<std::size_t>(limit, static_cast<std::size_t>(span.last - span.first + 1)));
  while (items.size() < limit) {
    // Never more than are wanted: a driver may fetch the whole of an answer, here of all that waits.
    const auto wanted = limit - items.size();
    auto q = db.query("SELECT " DETECTION_LOCATED_COLUMNS
                      " FROM detection WHERE seq BETWEEN ? AND ? AND disposition = 0 ORDER BY seq LIMIT ?");
    q.bind(span.first).bind(span.last).bind(static_cast<std::int64_t>(wanted));
    std::size_t rows = 0;
    for (;; ++rows) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      const auto sequence = q.integer(0);
      span.first = sequence + 1;
      if (!sink.dead.empty() && sink.dead.contains(sequence)) continue;
      auto located = read_located(q);
      if (!located) return std::unexpected(std::move(located.error()));
      items.push_back({sequence, std::move(*located)});
    }
    if (rows < wanted) break;
  }
  return items;
}

Result<std::vector<OutboxItem>> Outbox::take_of_log(Database& db, Sink& sink, std::size_t limit, Span& covered) {
  while (limit != 0) {
    const bool again = !sink.due_again.empty();
    // The head was taken after its commit, so all up to it can be read.
    Span due;
    if (again) {
      due = sink.due_again.front();
    } else {
      auto newest = head(db);
      if (!newest) return std::unexpected(std::move(newest.error()));
      due = {sink.next + 1, *newest};
    }
    if (due.empty()) break;
    auto items = read(db, sink, due, limit);
    if (!items) return std::unexpected(std::move(items.error()));
    const Span looked_at{due.first, items->size() == limit ? items->back().sequence : due.last};
    if (again) {
      sink.due_again.pop_front();
      sink.due_again.add({looked_at.last + 1, due.last});
    } else {
      sink.next = looked_at.last;
    }
    if (!items->empty()) {
      covered = looked_at;
      return items;
    }
    finish(sink, looked_at);  // held ones and dead letters only
  }
  return std::vector<OutboxItem>{};
}

Result<Outbox::Taken> Outbox::take(Sink& sink, std::size_t limit) {
  const std::lock_guard lock(sink.mutex);
  Taken taken;
  taken.claim.sink = sink.name;
  if (limit == 0) return taken;
  if (leases_ != nullptr) {
    auto lease = hold(sink);
    if (!lease) return std::unexpected(std::move(lease.error()));
    taken.claim.elsewhere = !*lease;
    if (!*lease) return taken;
    taken.claim.good_until = (*lease)->good_until;
  }
  // Within the lock: a row of a claim that ended before it is gone from this snapshot.
  auto reader = readers_.lease();
  if (!reader) return std::unexpected(std::move(reader.error()));
  const auto due_beside = [&](std::size_t most) {
    return due_retries(**reader, sink.number, sink.retries_in_flight, most);
  };
  std::vector<DueRetry> retries;
  const bool alone = limit == 1;
  if (!alone || sink.retries_have_turn) {
    auto due = due_beside((limit + 1) / 2);
    if (!due) return std::unexpected(std::move(due.error()));
    retries = std::move(*due);
  }
  LiveClaim live;
  auto logged = take_of_log(**reader, sink, limit - retries.size(), live.span);
  if (!logged) return std::unexpected(std::move(logged.error()));
  if (alone) {
    if (logged->empty() && retries.empty() && !sink.retries_have_turn) {
      auto due = due_beside(1);
      if (!due) return std::unexpected(std::move(due.error()));
      retries = std::move(*due);
    }
    sink.retries_have_turn = retries.empty();
  }
  if (logged->empty() && retries.empty()) return taken;

  for (const auto& item : *logged) live.sequences.push_back(item.sequence);
  for (auto& retry : retries) {
    live.retries.push_back(retry.row());
    sink.retries_in_flight.insert(retry.item.sequence);
    (retry.needs_leave() ? taken.to_ask : taken.claim.items).push_back(std::move(retry.item));
  }
  std::ranges::move(*logged, std::back_inserter(taken.claim.items));
  live.busy = !taken.to_ask.empty();
  taken.claim.number = ++last_claim_;
  taken.epoch = sink.epoch;
  sink.live.emplace(taken.claim.number, std::move(live));
  return taken;
}

Result<void> Outbox::ask_leave(Sink& sink, Taken& taken) {
  std::vector<std::int64_t> refused;
  const auto epoch = taken.epoch;
  auto asked = writer_.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    if (leases_ != nullptr)
      if (auto ours = leases_->check(ledger.database(), sink.number, epoch); !ours) return ours;
    auto allowed = allow_retries(ledger, now, sink.named(), taken.to_ask);
    if (!allowed) return std::unexpected(std::move(allowed.error()));
    refused = std::move(*allowed);
    return {};
  });
  const auto stays = [&](std::int64_t sequence) {
    return !asked && std::ranges::find(taken.to_ask, sequence, &OutboxItem::sequence) != taken.to_ask.end();
  };
  const std::lock_guard lock(sink.mutex);
  const auto found = sink.live.find(taken.claim.number);
  if (found == sink.live.end())  // another process has the sink by now
    return fail(ErrorCode::kConflict, "the sink " + sink.name + " is another process's by now");
  auto& live = found->second;
  live.busy = false;
  std::erase_if(live.retries, [&](const Retry& retry) {
    const bool out = stays(retry.sequence) || std::ranges::find(refused, retry.sequence) != refused.end();
    if (out) sink.retries_in_flight.erase(retry.sequence);
    return out;
  });
  if (asked) {
    std::erase_if(taken.to_ask,
                  [&](const OutboxItem& item) { return std::ranges::find(refused, item.sequence) != refused.end(); });
    taken.claim.items.insert(taken.claim.items.begin(), std::move_iterator(taken.to_ask.begin()),
                             std::move_iterator(taken.to_ask.end()));
  }
  if (taken.claim.items.empty()) sink.live.erase(taken.claim.number);
  return asked;
}

Result<Claim> Outbox::claim(std::string_view name, std::size_t limit) {
  auto found = find(name);
  if (!found) return std::unexpected(std::move(found.error()));
  auto& sink = **found;
  limit = std::min(limit, limits::kClaimItems);
  while (true) {
    auto taken = take(sink, limit);
    if (!taken) return std::unexpected(std::move(taken.error()));
    if (taken->to_ask.empty()) return std::move(taken->claim);
    // Without the lock: the writer may take its time. What it does not answer for stays where it is; the log goes on.
    auto asked = ask_leave(sink, *taken);
    if (!taken->claim.items.empty()) return std::move(taken->claim);
    if (!asked) return std::unexpected(std::move(asked.error()));
  }
}

}  // namespace detection::store::sql
