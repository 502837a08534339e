#include "store/sql/audit_search.hpp"

#include <algorithm>
#include <charconv>
#include <deque>

#include "store/sql/audit.hpp"
#include "store/sql/limits.hpp"

namespace detection::store::sql {
namespace {

using Clock = std::chrono::steady_clock;

/// Where a page ended: what is still to be looked at in each chain, and how many events of the next record were given.
struct Cursor {
  struct Place {
    std::int64_t chain = 0;
    std::int64_t number = 0;  ///< the records up to it
  };
  std::vector<Place> places;
  std::int64_t record = 0;  ///< key
  std::int64_t given = 0;
};

std::unexpected<Error> bad_cursor() {
  return fail(ErrorCode::kValidationFailed, "the cursor is none that a search gave", {{"cursor", "is none of ours"}});
}

bool eat(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

bool eat(std::string_view& text, std::int64_t& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || value < 0) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

std::string write(const Cursor& cursor) {
  // Not by operator+: g++ 12 warns of it at -O3 (GCC bug 105651).
  std::string out("r");
  out.append(std::to_string(cursor.record)).append(".").append(std::to_string(cursor.given));
  for (const auto& place : cursor.places)
    out.append("-").append(std::to_string(place.chain)).append(".").append(std::to_string(place.number));
  return out;
}

std::optional<Cursor> read_cursor(std::string_view text) {
  Cursor cursor;
  if (!eat(text, 'r') || !eat(text, cursor.record) || !eat(text, '.') || !eat(text, cursor.given)) return std::nullopt;
  while (!text.empty()) {
    Cursor::Place place;
    if (!eat(text, '-') || !eat(text, place.chain) || !eat(text, '.') || !eat(text, place.number)) return std::nullopt;
    constexpr std::int64_t kLeast = 1, kMost = (std::int64_t{1} << kChainShift) - 1;
    const auto behind = cursor.places.empty() ? 0 : cursor.places.back().chain;
    if (place.chain < kLeast || place.chain > kMost >> 20 || place.chain <= behind || place.number > kMost)
      return std::nullopt;
    cursor.places.push_back(place);
  }
  return cursor;
}

bool matches(const AuditEvent& event, const AuditFilter& filter) {
  return filter.type.value_or(event.type) == event.type && filter.severity.value_or(event.severity) == event.severity &&
         filter.actor.value_or(event.actor) == event.actor && (!filter.since || event.at >= *filter.since) &&
         (!filter.until || event.at < *filter.until);
}

/// What a record must be like to hold an event that matches; it may still hold none.
struct Conditions {
  std::string sql;
  std::vector<std::string> texts;
  std::vector<std::int64_t> times;
  bool acceptances = true;  ///< whether one can match

  Conditions(const Database& db, const AuditFilter& filter) {
    acceptances = filter.severity.value_or("INFO") == "INFO" &&
                  (!filter.type || std::ranges::find(kAcceptanceEvents, *filter.type) != std::end(kAcceptanceEvents));
    const auto add = [this](std::string_view column, const std::string& value) {
      sql.append(" AND ").append(column).append(" = ?");
      texts.push_back(value);
    };
    if (!acceptances) sql += " AND audit.detection IS NULL";
    if (filter.severity) add("audit.severity", *filter.severity);
    if (filter.actor) add("audit.actor", *filter.actor);
    if (filter.type) {
      sql += " AND (audit.type IN ('acceptance', 'delivery') OR audit.type = ?)";
      texts.push_back(*filter.type);
    }
    // A record that stands for several events names the times of the earlier ones in its body.
    static constexpr sql::Texts kTimes{
        "(audit.at, coalesce(audit.body ->> '$.received', audit.at), coalesce(audit.body ->> '$.validated', audit.at), "
        "coalesce(audit.body ->> '$.located', audit.at), coalesce(audit.body ->> '$.cot_made', audit.at), "
        "coalesce(audit.body ->> '$.sent', audit.at))",
        // These pass over what is null.
        "(audit.at, (as_json(audit.body) ->> 'received')::bigint, (as_json(audit.body) ->> 'validated')::bigint, "
        "(as_json(audit.body) ->> 'located')::bigint, (as_json(audit.body) ->> 'cot_made')::bigint, "
        "(as_json(audit.body) ->> 'sent')::bigint)"};
    const auto add_time = [&](const sql::Texts& extreme, std::string_view compare, UtcMicros at) {
      sql.append(" AND CASE WHEN audit.type IN ('acceptance', 'delivery') THEN ").append(db.pick(extreme));
      sql.append(db.pick(kTimes)).append(" ELSE audit.at END ").append(compare).append(" ?");
      times.push_back(at.count);
    };
    if (filter.since) add_time({"max", "greatest"}, ">=", *filter.since);
    if (filter.until) add_time({"min", "least"}, "<", *filter.until);
  }
  void bind(Query& q) const {
    for (const auto& text : texts) q.bind(text);
    for (const auto time : times) q.bind(time);
  }
};

/// A record with those of its events that match, newest first.
struct Found {
  std::int64_t key = 0;
  UtcMicros at{};
  std::vector<AuditPage::Item> events;
};

/// One chain, read downwards.
class ChainScan {
 public:
  ChainScan(Database& db, const AuditFilter& filter, const Conditions& where, Cursor::Place place, std::int64_t first)
      : db_(db), filter_(filter), where_(where), chain_(place.chain), next_(place.number), first_(first) {}

  [[nodiscard]] bool read() const { return !found_.empty() || next_ < first_; }
  [[nodiscard]] const Found* front() const { return found_.empty() ? nullptr : &found_.front(); }
  void pop() { found_.pop_front(); }
  [[nodiscard]] Cursor::Place place() const {
    return {chain_, found_.empty() ? std::max<std::int64_t>(next_, 0) : number_in_chain(found_.front().key)};
  }

  /// The next window of records, or as much of it as is held at once.
  Result<void> read_window() {
    const auto lowest = std::max(first_, next_ - limits::kSearchWindow + 1);
    static const std::string kSelect =
        "SELECT " + std::string(kEventColumns) + ", audit.subject, detection.id FROM audit ";
    const auto* path = db_.is_postgres()    ? ""
                       : where_.acceptances ? "NOT INDEXED CROSS"
                                            : "INDEXED BY audit_other CROSS";
    auto q = db_.query_once(kSelect + path +
                            " JOIN audit_chain ON audit_chain.number = audit.record >> 40 "
                            "LEFT JOIN detection ON detection.seq = audit.detection "
                            "WHERE audit.record BETWEEN ? AND ?" +
                            where_.sql + " ORDER BY audit.record DESC LIMIT ?");
    q.bind(record_key(chain_, lowest)).bind(record_key(chain_, next_));
    where_.bind(q);
    q.bind(static_cast<std::int64_t>(limits::kSearchRows));
    std::size_t rows = 0;
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      ++rows;
      next_ = number_in_chain(q.integer(0)) - 1;
      if (auto done = take(q); !done) return done;
    }
    if (rows < limits::kSearchRows) next_ = lowest - 1;
    return {};
  }

 private:
  Result<void> take(const Query& q) {
    constexpr int kSubject = 7, kDetectionId = 8;
    std::vector<AuditEvent> events;
    if (auto done = append_events(db_, q, events); !done) return done;
    std::optional<Uuid> subject;
    const auto id = q.is_null(kSubject) ? q.bytes(kDetectionId) : q.bytes(kSubject);
    if (id.size() == sizeof(Uuid::bytes)) std::ranges::copy(id, subject.emplace().bytes.begin());
    Found found{q.integer(0), {q.integer(2)}, {}};
    for (auto event = events.rbegin(); event != events.rend(); ++event)
      if (matches(*event, filter_)) found.events.push_back({std::move(*event), subject});
    if (!found.events.empty()) found_.push_back(std::move(found));
    return {};
  }

  Database& db_;
  const AuditFilter& filter_;
  const Conditions& where_;
  const std::int64_t chain_;
  std::int64_t next_;  ///< the records above it have been read
  const std::int64_t first_;
  std::deque<Found> found_;
};

class Search {
 public:
  Search(Database& db, const AuditFilter& filter, std::size_t limit)
      : db_(db), filter_(filter), where_(db, filter), limit_(limit), until_(Clock::now() + limits::kListTime) {}

  Result<AuditPage> run(std::optional<Cursor> cursor) {
    if (auto done = open_chains(cursor); !done) return std::unexpected(std::move(done.error()));
    AuditPage page;
    while (true) {
      auto ready = read_fronts();
      if (!ready) return std::unexpected(std::move(ready.error()));
      ChainScan* newest = *ready ? newest_front() : nullptr;
      if (*ready && newest == nullptr) return page;
      if (!*ready || page.items.size() >= limit_) {
        page.next = write(cursor_here());
        return page;
      }
      give(*newest, page);
    }
  }

 private:
  Result<void> open_chains(const std::optional<Cursor>& cursor) {
    auto q = db_.query(
        "SELECT number, (SELECT min(record) FROM audit WHERE record > number << 40 AND record < (number + 1) << 40), "
        "(SELECT max(record) FROM audit WHERE record > number << 40 AND record < (number + 1) << 40) "
        "FROM audit_chain ORDER BY number");
    while (true) {
      auto row = q.step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (!*row) break;
      if (q.is_null(1)) continue;
      Cursor::Place place{q.integer(0), number_in_chain(q.integer(2))};
      if (cursor) {
        const auto it = std::ranges::find(cursor->places, place.chain, &Cursor::Place::chain);
        if (it == cursor->places.end()) continue;  // it began behind the first page
        place.number = std::min(place.number, it->number);
      }
      chains_.emplace_back(db_, filter_, where_, place, number_in_chain(q.integer(1)));
    }
    if (cursor) {
      given_record_ = cursor->record;
      given_ = static_cast<std::size_t>(cursor->given);
    }
    return {};
  }

  /// False when the time is up before each chain shows its next record.
  Result<bool> read_fronts() {
    for (auto& chain : chains_)
      while (!chain.read()) {
        // At least one window each, so that each page comes further.
        if (windows_ >= chains_.size() && Clock::now() > until_) return false;
        ++windows_;
        if (auto done = chain.read_window(); !done) return std::unexpected(std::move(done.error()));
      }
    return true;
  }

  ChainScan* newest_front() {
    ChainScan* newest = nullptr;
    for (auto& chain : chains_)
      if (chain.front() != nullptr && (newest == nullptr || chain.front()->at > newest->front()->at)) newest = &chain;
    return newest;
  }

  void give(ChainScan& chain, AuditPage& page) {
    const auto& found = *chain.front();
    if (found.key != given_record_) {
      given_record_ = found.key;
      given_ = 0;
    }
    while (given_ < found.events.size() && page.items.size() < limit_) page.items.push_back(found.events[given_++]);
    if (given_ >= found.events.size()) chain.pop();
  }

  [[nodiscard]] Cursor cursor_here() const {
    Cursor cursor;
    for (const auto& chain : chains_) cursor.places.push_back(chain.place());
    cursor.record = given_record_;
    cursor.given = static_cast<std::int64_t>(given_);
    return cursor;
  }

  Database& db_;
  const AuditFilter& filter_;
  const Conditions where_;
  const std::size_t limit_;
  const Clock::time_point until_;
  std::vector<ChainScan> chains_;
  std::size_t windows_ = 0;
  std::int64_t given_record_ = 0;  ///< the record that was given last, and how many of its events
  std::size_t given_ = 0;
};

/// The events about one subject are few: all are read, and counted from the oldest, which new ones do not move.
Result<AuditPage> search_subject(Database& db, const AuditFilter& filter, std::string_view cursor, std::size_t limit) {
  std::int64_t end = std::numeric_limits<std::int64_t>::max();
  if (!cursor.empty() && (!eat(cursor, 's') || !eat(cursor, end) || !cursor.empty())) return bad_cursor();
  auto events = timeline(db, *filter.subject);
  if (!events) return std::unexpected(std::move(events.error()));
  AuditPage page;
  for (auto i = std::min(static_cast<std::int64_t>(events->size()), end); i-- > 0;) {
    auto& event = (*events)[static_cast<std::size_t>(i)];
    if (!matches(event, filter)) continue;
    if (page.items.size() == limit) {
      page.next = std::string("s").append(std::to_string(i + 1));
      return page;
    }
    page.items.push_back({std::move(event), filter.subject});
  }
  return page;
}

}  // namespace

Result<AuditPage> search_audit(Database& db, const AuditFilter& filter, std::string_view cursor, std::size_t limit) {
  limit = std::clamp<std::size_t>(limit, 1, limits::kSearchItems);
  if (filter.subject) return search_subject(db, filter, cursor, limit);
  std::optional<Cursor> from;
  if (!cursor.empty() && !(from = read_cursor(cursor))) return bad_cursor();
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  return Search(db, filter, limit).run(std::move(from));
}

}  // namespace detection::store::sql
