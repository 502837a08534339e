#include "store/sql/feed.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "store/sql/audit.hpp"
#include "store/sql/decisions.hpp"
#include "store/sql/detection_row.hpp"
#include "store/sql/feed_cursor.hpp"
#include "store/sql/limits.hpp"
#include "store/sql/omissions.hpp"

namespace detection::store::sql {
namespace {

struct Chain {
  std::int64_t number = 0;
  std::int64_t last = 0;  ///< its newest record; 0: it has none
};

Result<std::vector<Chain>> chains_of(Database& db) {
  auto q = db.query(
      "SELECT number, (SELECT max(record) FROM audit WHERE record > number << 40 AND record < (number + 1) << 40) "
      "FROM audit_chain ORDER BY number");
  std::vector<Chain> out;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return out;
    out.push_back({q.integer(0), number_in_chain(q.integer(1))});
  }
}

std::unexpected<Error> cannot_resume() {
  return fail(ErrorCode::kNotFound, "the feed cannot be resumed there: what followed is no longer kept");
}

/// Columns of a record as the feed reads them.
enum Column : int { kRecord, kAt, kType, kSubject, kBody, kAccepted };

/// Reads one chain on from where the reader stands, in slices: a reader that comes back after long has many before it.
class ChainReader {
 public:
  ChainReader(Database& db, const Chain& chain, std::int64_t seen) : db_(db), chain_(chain), at_(seen) {}

  Result<void> step() {
    if (q_) {
      auto row = q_->step();
      if (!row) return std::unexpected(std::move(row.error()));
      if (note(*row) || rows_ < limits::kFeedSlice) return {};
    }
    // Of every chain at once, so not one statement that is kept.
    q_.emplace(
        db_.query_once("SELECT audit.record, audit.at, audit.type, audit.subject, audit.body, "
                       "audit.detection, " DETECTION_STORED_COLUMNS
                       " FROM audit LEFT JOIN detection ON detection.seq = audit.detection "
                       "WHERE record > ? AND record <= ? ORDER BY record LIMIT ?"));
    q_->bind(record_key(chain_.number, at_)).bind(record_key(chain_.number, chain_.last)).bind(limits::kFeedSlice);
    rows_ = 0;
    auto row = q_->step();
    if (!row) return std::unexpected(std::move(row.error()));
    note(*row);
    return {};
  }
  [[nodiscard]] bool there() const { return there_; }
  [[nodiscard]] std::int64_t chain() const { return chain_.number; }
  [[nodiscard]] std::int64_t number() const { return at_; }
  [[nodiscard]] std::int64_t at() const { return q_->integer(kAt); }
  [[nodiscard]] const Query& row() const { return *q_; }

 private:
  bool note(bool there) {
    there_ = there;
    if (!there) return false;
    ++rows_;
    at_ = number_in_chain(q_->integer(kRecord));
    return true;
  }

  Database& db_;
  const Chain chain_;
  std::int64_t at_;  ///< the record that was read last
  std::int64_t rows_ = 0;
  std::optional<Query> q_;
  bool there_ = false;
};

std::optional<Uuid> subject_of(const Query& row) {
  const auto bytes = row.bytes(kSubject);
  Uuid id;
  if (bytes.size() != id.bytes.size()) return std::nullopt;
  std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

/// One page of the feed within one snapshot.
class Page {
 public:
  Page(Database& db, FeedCursor from, std::size_t limit) : db_(db), position_(std::move(from)), limit_(limit) {}

  Result<FeedPage> run() {
    if (auto done = open(); !done) return std::unexpected(std::move(done.error()));
    std::size_t looked_at = 0;
    while (auto* next = oldest()) {
      // Rather a short page than one that looks at all the audit, or holds all detections there are.
      if (page_.events.size() == limit_ || looked_at == limits::kFeedRecords || ids_ >= limits::kFeedIds) {
        page_.more = true;
        break;
      }
      ++looked_at;
      auto event = event_of(next->row());
      if (!event) return std::unexpected(std::move(event.error()));
      position_.see(next->chain(), next->number());
      if (*event) {
        (*event)->at = {next->at()};
        (*event)->cursor = position_.text();
        ids_ += (*event)->ids.size();
        page_.events.push_back(std::move(**event));
      }
      if (auto done = next->step(); !done) return std::unexpected(std::move(done.error()));
    }
    page_.cursor = position_.text();
    return std::move(page_);
  }

 private:
  Result<void> open() {
    auto chains = chains_of(db_);
    if (!chains) return std::unexpected(std::move(chains.error()));
    for (const auto& [number, seen] : position_.all()) {
      const auto known = std::ranges::find(*chains, number, &Chain::number);
      if (known == chains->end() || seen > known->last)
        return fail(ErrorCode::kConflict,
                    "the feed cannot be resumed there: that is of another store, or of its future");
    }
    for (const auto& chain : *chains) {
      const auto seen = position_.seen(chain.number);
      if (seen == chain.last) continue;
      auto reader = std::make_unique<ChainReader>(db_, chain, seen);
      if (auto done = reader->step(); !done) return done;
      if (!reader->there() || reader->number() != seen + 1) return cannot_resume();
      readers_.push_back(std::move(reader));
    }
    return {};
  }

  ChainReader* oldest() {
    ChainReader* first = nullptr;
    for (const auto& reader : readers_)
      if (reader->there() && (first == nullptr || reader->at() < first->at())) first = reader.get();
    return first;
  }

  Result<std::optional<FeedEvent>> event_of(const Query& row) {
    const auto type = row.text(kType);
    if (type == kAcceptanceType) return accepted(row);
    if (type == kDeliveryType) return of_ranges(row, DeliveryState::kDelivered);
    if (type == kOmissionType) return of_ranges(row, DeliveryState::kDiscarded);
    if (type == kDecisionType) return decided(row);
    if (type == kDeliveryEvents[1] || type == "tak_push_failed" || type == "detection_queued") return of_sink(row);
    return std::nullopt;
  }

  Result<std::optional<FeedEvent>> accepted(const Query& row) {
    if (row.is_null(kAccepted + 1)) return std::nullopt;  // its detection is missing: verify_audit() says so
    auto stored = read_stored(row, kAccepted + 1);
    if (!stored) return std::unexpected(std::move(stored.error()));
    FeedEvent event;
    event.detection = std::move(stored->detection);
    return event;
  }

  Result<std::optional<FeedEvent>> decided(const Query& row) {
    const auto subject = subject_of(row);
    if (!subject) return std::nullopt;
    auto q = db_.query("SELECT " DETECTION_STORED_COLUMNS ", " DECISION_COLUMNS
                       " FROM detection JOIN decision ON decision.seq = detection.seq WHERE id = ? AND record = ?");
    auto found = q.bind(subject->bytes).bind(row.integer(kRecord)).step();
    if (!found) return std::unexpected(std::move(found.error()));
    if (!*found) return std::nullopt;
    auto stored = read_stored(q);
    if (!stored) return std::unexpected(std::move(stored.error()));
    FeedEvent event;
    event.kind = FeedEvent::Kind::kVerification;
    event.detection = std::move(stored->detection);
    event.detection->decision = read_decision(q, kStoredColumns).decision;
    return event;
  }

  /// A record that names its sink: what it says of which detections.
  Result<std::optional<FeedEvent>> of_sink(const Query& row) {
    auto q = db_.query_of(
        {"SELECT ?1 ->> '$.sink', ?1 ->> '$.state', coalesce(?1 ->> '$.taken_back', 0), "
         "json_type(?1, '$.ranges') WHERE json_valid(?1)",
         "SELECT body ->> 'sink', body ->> 'state', coalesce(body ->> 'taken_back' = 'true', false), "
         "json_typeof(body -> 'ranges') FROM (SELECT as_json(?1) AS body) AS record WHERE body IS NOT NULL"});
    auto found = q.bind(row.text(kBody)).step();
    if (!found) return std::unexpected(std::move(found.error()));
    if (!*found || q.is_null(0)) return std::nullopt;
    const bool taken_back = q.integer(2) != 0;
    const auto state = taken_back && q.is_null(1) ? DeliveryState::kDelivered : parse_delivery_state(q.text(1));
    if (!state) return std::nullopt;
    if (q.text(3) == "array") return of_ranges(row, *state);
    const auto subject = subject_of(row);
    if (!subject) return std::nullopt;
    FeedEvent event;
    event.kind = FeedEvent::Kind::kDelivery;
    event.sink = q.text(0);
    event.state = *state;
    event.taken_back = taken_back;
    event.ids.push_back(*subject);
    return event;
  }

  /// A range of several speaks of those of disposition queue in it, a range of one of that one.
  Result<std::optional<FeedEvent>> of_ranges(const Query& row, DeliveryState state) {
    const auto body = row.text(kBody);
    FeedEvent event;
    event.kind = FeedEvent::Kind::kDelivery;
    event.state = state;
    {
      auto q = db_.query_of({"SELECT ?1 ->> '$.sink' WHERE json_valid(?1)",
                             "SELECT as_json(?1) ->> 'sink' WHERE as_json(?1) IS NOT NULL"});
      auto found = q.bind(body).step();
      if (!found) return std::unexpected(std::move(found.error()));
      if (!*found || q.is_null(0)) return std::nullopt;
      event.sink = q.text(0);
    }
    auto q = db_.query_of(
        {"SELECT detection.id FROM json_each(?1, '$.ranges') AS part CROSS JOIN detection NOT INDEXED ON seq BETWEEN "
         "part.value ->> 0 AND part.value ->> 1 WHERE disposition = 0 OR part.value ->> 0 = part.value ->> 1",
         "SELECT detection.id FROM json_array_elements(as_json(?1) -> 'ranges') AS part JOIN detection ON seq BETWEEN "
         "(part ->> 0)::bigint AND (part ->> 1)::bigint WHERE disposition = 0 OR part ->> 0 = part ->> 1 "
         "ORDER BY seq"});
    q.bind(body);
    while (true) {
      auto found = q.step();
      if (!found) return std::unexpected(std::move(found.error()));
      if (!*found) return event;
      Uuid id;
      const auto bytes = q.bytes(0);
      if (bytes.size() == id.bytes.size()) std::ranges::copy(bytes, id.bytes.begin());
      event.ids.push_back(id);
    }
  }

  Database& db_;
  FeedCursor position_;
  std::size_t limit_;
  std::vector<std::unique_ptr<ChainReader>> readers_;
  FeedPage page_;
  std::size_t ids_ = 0;
};

}  // namespace

Result<std::string> feed_head(Database& db) {
  auto chains = chains_of(db);
  if (!chains) return std::unexpected(std::move(chains.error()));
  FeedCursor cursor;
  for (const auto& chain : *chains) cursor.see(chain.number, chain.last);
  return cursor.text();
}

Result<FeedPage> feed(Database& db, std::string_view cursor, std::size_t limit) {
  auto from = FeedCursor::parse(cursor);
  if (!from) return fail(ErrorCode::kValidationFailed, "that is not a cursor of the feed");
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  return Page(db, std::move(*from), std::clamp<std::size_t>(limit, 1, limits::kListItems)).run();
}

}  // namespace detection::store::sql
