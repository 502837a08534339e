#include "store/postgres/watch.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "store/postgres/engine.hpp"

namespace detection::store::postgres {
namespace {

using sql::Database;

/// A slot in SQL: empty for none.
#define FENCE_IS_OPEN "(?1 = '' OR EXISTS (SELECT 1 FROM release WHERE active_slot = ?1))"

}  // namespace

void Watch::start(Listeners listeners) {
  listeners_ = std::move(listeners);
  delivers_ = slot_.empty();
  std::optional<Database> db;
  look_once(db);
  thread_ = std::thread([this, first = std::make_shared<std::optional<Database>>(std::move(db))] { run(*first); });
}

std::int64_t Watch::head() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

void Watch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watch::shut() {
  const std::lock_guard lock(mutex_);
  shut_ = true;
}

ReleaseStatus Watch::release() const {
  const std::lock_guard lock(mutex_);
  return {slot_, active_slot_, delivers_};
}

Result<void> Watch::reconnected(Database& db) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, sink] : sinks_) sink = {std::nullopt, true, sink.wanted};
  }
  std::string which;
  {
    auto q =
        db.query("SELECT pg_postmaster_start_time() || ' ' || oid FROM pg_database WHERE datname = current_database()");
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    which = q.text(0);
  }
  if (!database_.empty() && which != database_)
    if (auto done = db.query("UPDATE sink_lease SET epoch = epoch + 1 WHERE holder = ?").bind(holder_).run(); !done)
      return done;
  database_ = std::move(which);
  return {};
}

std::optional<Watch::Lease> Watch::held(std::string_view name) {
  const std::lock_guard lock(mutex_);
  auto found = sinks_.find(name);
  if (found == sinks_.end()) found = sinks_.try_emplace(std::string(name)).first;
  auto& sink = found->second;
  sink.wanted = Clock::now();
  if (shut_ || !delivers_ || !sink.mine || sink.mine->good_until <= sink.wanted) return std::nullopt;
  return sink.mine;
}

bool Watch::available(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = sinks_.find(name);
  return !shut_ && delivers_ && found != sinks_.end() && found->second.free;
}

Result<std::optional<Watch::Lease>> Watch::take(Database& db, std::int64_t number, std::string_view name) {
  Lease lease{.good_until = Clock::now() + kLeaseTime};
  auto q = db.query(
      "INSERT INTO sink_lease AS l (sink, holder, epoch, until) SELECT ?2, ?3, 1, "
      "clock_timestamp() + ?4 * interval '1 ms' WHERE " FENCE_IS_OPEN
      " ON CONFLICT (sink) DO UPDATE SET holder = excluded.holder, epoch = l.epoch + 1, until = excluded.until "
      "WHERE l.until < clock_timestamp() OR l.holder = excluded.holder RETURNING epoch");
  auto row = q.bind(slot_).bind(number).bind(holder_).bind(std::int64_t{kLeaseTime.count()}).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) {
    const std::lock_guard lock(mutex_);
    if (const auto found = sinks_.find(name); found != sinks_.end()) found->second.free = false;
    return std::nullopt;
  }
  lease.epoch = q.integer(0);
  return lease;
}

void Watch::taken(std::string_view name, const Lease& lease) {
  const std::lock_guard lock(mutex_);
  const auto found = sinks_.find(name);
  if (found == sinks_.end()) return;
  found->second.mine = lease;
  found->second.free = true;
}

Result<void> Watch::check(Database& db, std::int64_t number, std::int64_t epoch) {
  auto q = db.query("SELECT 1 FROM sink_lease WHERE sink = ? AND holder = ? AND epoch = ?");
  auto row = q.bind(number).bind(holder_).bind(epoch).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row)
    return fail(ErrorCode::kConflict,
                "the lease was lost: another process delivers to this sink by now, or the database was started anew");
  return {};
}

void Watch::look_once(std::optional<Database>& db) {
  if (!db) {
    auto connected = PostgresConnection::connect(options_);
    if (!connected) return;
    db.emplace(std::move(*connected));
    listeners_.connected(true);
  }
  if (auto looked = look(*db); !looked && db->broken()) {
    db.reset();
    listeners_.connected(false);
  }
}

void Watch::run(std::optional<Database>& db) {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    look_once(db);
    lock.lock();
    // A handover waits for claims to end, which takes no longer than the peer's answer.
    const bool handover =
        !delivers_ && std::ranges::any_of(sinks_, [](const auto& s) { return s.second.mine.has_value(); });
    wake_.wait_for(lock, handover ? kLookEvery / 8 : kLookEvery, [this] { return stopping_; });
  }
  lock.unlock();
  if (db) give_up(*db, true);
  if (db) listeners_.connected(false);
}

Result<void> Watch::look(Database& db) {
  bool opened = false, committed = false;
  {
    auto q = db.query("SELECT changes, (SELECT active_slot FROM release), head FROM log");
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    committed = q.integer(0) != changes_;
    changes_ = q.integer(0);
    auto active = q.is_null(1) ? std::nullopt : std::optional<std::string>(q.text(1));
    const std::lock_guard lock(mutex_);
    active_slot_ = std::move(active);
    head_ = q.integer(2);
    opened = !std::exchange(delivers_, open_to(active_slot_)) && delivers_;
  }
  if (auto done = renew(db); !done) return done;
  give_up(db, false);
  bool freed = false;
  if (auto done = look_at_leases(db, freed); !done) return done;
  if (committed) listeners_.committed();
  if (committed || opened || freed) listeners_.due();
  return {};
}

Result<void> Watch::renew(Database& db) {
  std::vector<std::pair<std::string, std::int64_t>> used;
  const auto now = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (!delivers_) return {};
    for (const auto& [name, sink] : sinks_)
      if (sink.mine) used.emplace_back(name, sink.mine->epoch);
  }
  for (const auto& [name, epoch] : used) {
    const bool claims = listeners_.has_claims(name);
    {
      const std::lock_guard lock(mutex_);
      if (!claims && now - sinks_[name].wanted > kLeaseUnused) continue;
    }
    auto q = db.query(
        "UPDATE sink_lease SET until = clock_timestamp() + ?2 * interval '1 ms' WHERE holder = ?3 AND epoch = ?4 AND "
        "sink = (SELECT number FROM sink WHERE name = ?5) AND " FENCE_IS_OPEN " RETURNING 1");
    auto row = q.bind(slot_).bind(std::int64_t{kLeaseTime.count()}).bind(holder_).bind(epoch).bind(name).step();
    if (!row) return std::unexpected(std::move(row.error()));
    const std::lock_guard lock(mutex_);
    auto& sink = sinks_[name];
    if (!sink.mine || sink.mine->epoch != epoch) continue;  // taken anew meanwhile
    if (*row)
      sink.mine->good_until = now + kLeaseTime;
    else if (delivers_)
      sink.mine.reset();  // another process has it, or the fence was shut since
  }
  return {};
}

/// Leases that this process may use no more and whose claims have ended, so that the next one need not wait for their
/// end; `all`: every one.
void Watch::give_up(Database& db, bool all) {
  std::vector<std::pair<std::string, std::int64_t>> ended;
  {
    const std::lock_guard lock(mutex_);
    if (delivers_ && !all) return;
    for (const auto& [name, sink] : sinks_)
      if (sink.mine) ended.emplace_back(name, sink.mine->epoch);
  }
  for (const auto& [name, epoch] : ended) {
    if (!all && listeners_.has_claims(name)) continue;
    auto done = db.query(
                      "UPDATE sink_lease SET until = clock_timestamp() WHERE holder = ? AND epoch = ? AND sink = "
                      "(SELECT number FROM sink WHERE name = ?)")
                    .bind(holder_)
                    .bind(epoch)
                    .bind(name)
                    .run();
    if (!done) return;
    const std::lock_guard lock(mutex_);
    sinks_[name].mine.reset();
  }
}

/// No lease is longer than our leases are, unless the database's clock has gone back: by that of its holder, who may
/// live, it is over then as well.
Result<void> Watch::shorten_leases(Database& db) {
  return db
      .query(
          "UPDATE sink_lease SET until = clock_timestamp() + ?1 * interval '1 ms' "
          "WHERE until > clock_timestamp() + ?1 * interval '1 ms'")
      .bind(std::int64_t{kLeaseTime.count()})
      .run();
}

Result<void> Watch::look_at_leases(Database& db, bool& freed) {
  if (auto done = shorten_leases(db); !done) return done;
  auto q = db.query(
      "SELECT name, NOT EXISTS (SELECT 1 FROM sink_lease WHERE sink = number AND until > clock_timestamp() AND "
      "holder <> ?) FROM sink");
  q.bind(holder_);
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
    const std::lock_guard lock(mutex_);
    const auto found = sinks_.find(q.text(0));
    if (found == sinks_.end()) continue;
    const bool is_free = q.integer(1) != 0;
    const bool was_free = std::exchange(found->second.free, is_free);
    freed |= is_free && !was_free;
  }
}

}  // namespace detection::store::postgres
