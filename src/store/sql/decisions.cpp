#include "store/sql/decisions.hpp"

#include <algorithm>
#include <utility>

#include "detection/json_writer.hpp"
#include "store/sql/delivery_view.hpp"
#include "store/sql/detection_row.hpp"
#include "store/sql/outbox_retries.hpp"

namespace detection::store::sql {
namespace {

/// What a decision does at one sink; for its audit record.
struct Effect {
  std::string sink;
  std::string_view what;
};
constexpr std::string_view kQueued = "queued", kWithdrawn = "withdrawn", kTakenBack = "take_back",
                           kLaterOfTrack = "kept, a later detection of its track has the marker";

struct SinkRow {
  std::int64_t number = 0;
  std::string name;
};

Result<std::vector<SinkRow>> known_sinks(Database& db) {
  auto q = db.query("SELECT number, name FROM sink ORDER BY number");
  std::vector<SinkRow> out;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return out;
    out.push_back({q.integer(0), std::string(q.text(1))});
  }
}

Result<std::optional<StoredDetection>> find_stored(Database& db, const Uuid& id) {
  auto q = db.query("SELECT " DETECTION_STORED_COLUMNS " FROM detection WHERE id = ?");
  auto row = q.bind(id.bytes).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::nullopt;
  auto stored = read_stored(q);
  if (!stored) return std::unexpected(std::move(stored.error()));
  return std::move(stored->detection);
}

/// One decision within the writer's transaction.
class Deciding {
 public:
  Deciding(Ledger& ledger, UtcMicros now, const Store::Verification& asked,
           const std::optional<std::vector<std::string>>& sinks)
      : ledger_(ledger), db_(ledger.database()), now_(now), asked_(asked), counted_(sinks) {}

  Result<void> run(std::optional<Error>& refused) {
    auto found = find_stored(db_, asked_.id);
    if (!found) return std::unexpected(std::move(found.error()));
    if (!*found) {
      refused = Error{ErrorCode::kNotFound, "there is no detection " + to_string(asked_.id)};
      return {};
    }
    answer_.stored = std::move(**found);
    if (answer_.stored.disposition != Disposition::kHold) {
      refused = Error{ErrorCode::kConflict, "detection " + to_string(asked_.id) +
                                                " was never held for a decision, so there is nothing to decide"};
      return {};
    }
    auto before = newest_decision(db_, answer_.stored.sequence);
    if (!before) return std::unexpected(std::move(before.error()));
    if (auto done = look_at_delivery(); !done) return done;
    if (*before && (*before)->decision.verified == asked_.decision.verified) {
      answer_.stored.decision = std::move((*before)->decision);
      return {};
    }
    return change(*before);
  }

  [[nodiscard]] Store::Verified& answer() { return answer_; }

 private:
  Result<void> change(const std::optional<StoredDecision>& before) {
    auto sinks = known_sinks(db_);
    if (!sinks) return std::unexpected(std::move(sinks.error()));
    answer_.changed = true;
    answer_.stored.decision = asked_.decision;
    if (asked_.decision.at.count == 0) answer_.stored.decision->at = now_;
    auto done = asked_.decision.verified ? release(*sinks) : reject(*sinks, before);
    if (!done) return done;
    if (done = write(sinks->empty() ? 0 : sinks->back().number); !done) return done;
    return look_at_delivery();
  }

  Result<void> look_at_delivery() {
    const auto sequence = answer_.stored.sequence;
    auto view = DeliveryView::load(db_, counted_);
    if (!view) return std::unexpected(std::move(view.error()));
    if (auto done = view->load_exceptions(db_, sequence, sequence); !done) return done;
    answer_.delivery = view->status(sequence, Disposition::kHold);
    if (state_before_.empty()) state_before_ = delivery_state_name(answer_.delivery.state);
    return {};
  }

  Result<void> release(const std::vector<SinkRow>& sinks) {
    const auto sequence = answer_.stored.sequence;
    for (const auto& sink : sinks) {
      // A row that is there is a take-back: whether that went out already does not matter, it comes before.
      auto dead = remove_dead_letter(db_, sink.number, sequence);
      if (!dead) return std::unexpected(std::move(dead.error()));
      auto omitted = remove_late_omission(db_, sink.number, sequence);
      if (!omitted) return std::unexpected(std::move(omitted.error()));
      if (auto done = put_retry(db_, {sink.number, sequence, false, *dead}, now_); !done) return done;
      effects_.push_back({sink.name, kQueued});
      ledger_.note_due();
    }
    return {};
  }

  Result<void> reject(const std::vector<SinkRow>& sinks, const std::optional<StoredDecision>& before) {
    if (!before) return {};
    const auto& stored = answer_.stored;
    bool marker_is_another = false;
    if (stored.located.track_id) {
      auto later = has_later_of_track(db_, stored.located.cot_uid, stored.sequence);
      if (!later) return std::unexpected(std::move(later.error()));
      marker_is_another = *later;
    }
    for (const auto& sink : sinks) {
      if (sink.number > released_to(*before)) continue;
      auto may_have_it = remove_release(sink.number);
      if (!may_have_it) return std::unexpected(std::move(may_have_it.error()));
      if (!*may_have_it) {
        effects_.push_back({sink.name, kWithdrawn});
      } else if (marker_is_another) {
        effects_.push_back({sink.name, kLaterOfTrack});
      } else {
        if (auto done = put_retry(db_, {sink.number, stored.sequence, true, true}, now_); !done) return done;
        effects_.push_back({sink.name, kTakenBack});
        ledger_.note_due();
      }
    }
    return {};
  }

  /// Ends the release at a sink; whether TAK may have the detection.
  Result<bool> remove_release(std::int64_t sink) {
    const auto sequence = answer_.stored.sequence;
    auto dead = remove_dead_letter(db_, sink, sequence);
    if (!dead || *dead) return dead;
    auto waiting = remove_retry(db_, sink, sequence);
    if (!waiting) return std::unexpected(std::move(waiting.error()));
    auto omitted = remove_late_omission(db_, sink, sequence);
    if (!omitted) return omitted;
    if (*omitted) return false;
    return !*waiting || (*waiting)->at_tak;  // no row waits for what was delivered
  }

  Result<void> write(std::int64_t highest_sink) {
    const auto& stored = answer_.stored;
    const auto& decision = *stored.decision;
    const auto body = detail();
    auto record = ledger_.append({.at = now_,
                                  .type = kDecisionType,
                                  .severity = "INFO",
                                  .actor = decision.actor,
                                  .subject = stored.located.id.bytes,
                                  .body = body});
    if (!record) return std::unexpected(std::move(record.error()));
    auto q = db_.query(
        "INSERT INTO decision (seq, verified, notes, actor, at, record, sinks, track) VALUES (?,?,?,?,?,?,?,?)");
    q.bind(stored.sequence)
        .bind(std::int64_t{decision.verified})
        .bind(decision.notes)
        .bind(decision.actor)
        .bind(decision.at.count)
        .bind(*record)
        .bind(highest_sink);
    if (stored.located.track_id)
      q.bind(stored.located.cot_uid);
    else
      q.bind_null();
    return q.run();
  }

  [[nodiscard]] std::string detail() const {
    std::string out;
    json::Writer w(out);
    w.begin_object();
    w.key("verified");
    w.boolean(asked_.decision.verified);
    w.key("notes");
    w.string(asked_.decision.notes);
    // Else it is the record's.
    if (const auto at = answer_.stored.decision->at; at.count != now_.count) {
      w.key("at");
      w.integer(at.count);
    }
    w.key("state_before");
    w.string(state_before_);
    w.key("request_id");
    w.string(asked_.request_id);
    if (!asked_.trace_id.empty()) {
      w.key("trace_id");
      w.string(asked_.trace_id);
    }
    w.key("sinks");
    w.begin_array();
    for (const auto& effect : effects_) {
      w.begin_object();
      w.key("sink");
      w.string(effect.sink);
      w.key("then");
      w.string(effect.what);
      w.end_object();
    }
    w.end_array();
    w.end_object();
    return out;
  }

  Ledger& ledger_;
  Database& db_;
  UtcMicros now_;
  const Store::Verification& asked_;
  const std::optional<std::vector<std::string>>& counted_;
  Store::Verified answer_;
  std::string_view state_before_;
  std::vector<Effect> effects_;
};

}  // namespace

StoredDecision read_decision(const Query& q, int first) {
  StoredDecision out;
  out.decision.verified = q.integer(first) != 0;
  out.decision.notes = q.text(first + 1);
  out.decision.actor = q.text(first + 2);
  out.decision.at = {q.integer(first + 3)};
  out.sinks = q.integer(first + 4);
  return out;
}

std::int64_t released_to(const StoredDecision& decision) {
  return std::max<std::int64_t>(decision.sinks, 1);
}

Result<std::optional<StoredDecision>> newest_decision(Database& db, std::int64_t sequence) {
  auto q = db.query("SELECT " DECISION_COLUMNS " FROM decision WHERE seq = ? ORDER BY number DESC LIMIT 1");
  auto row = q.bind(sequence).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::nullopt;
  return read_decision(q);
}

Result<bool> has_later_of_track(Database& db, std::string_view cot_uid, std::int64_t sequence) {
  {
#define LATER_OF_TRACK(detection) \
  "SELECT 1 FROM " detection " WHERE cot_uid = ? AND seq > ? AND track_id IS NOT NULL AND disposition = 0 LIMIT 1"
    auto q = db.query_of({LATER_OF_TRACK("detection INDEXED BY detection_track"), LATER_OF_TRACK("detection")});
    auto row = q.bind(cot_uid).bind(sequence).step();
    if (!row || *row) return row;
  }
  auto q = db.query(
      "SELECT 1 FROM decision AS d WHERE track = ? AND seq > ? AND verified = 1 AND NOT EXISTS "
      "(SELECT 1 FROM decision AS newer WHERE newer.seq = d.seq AND newer.number > d.number) LIMIT 1");
  return q.bind(cot_uid).bind(sequence).step();
}

Result<Store::Verified> decide(Writer& writer, const Store::Verification& verification,
                               const std::optional<std::vector<std::string>>& sinks) {
  Store::Verified answer;
  std::optional<Error> refused;
  auto done = writer.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    refused.reset();
    Deciding deciding(ledger, now, verification, sinks);
    auto decided = deciding.run(refused);
    answer = std::move(deciding.answer());
    return decided;
  });
  if (!done) return std::unexpected(std::move(done.error()));
  if (refused) return std::unexpected(std::move(*refused));
  if (answer.changed) writer.count_audit(kDecisionType, "INFO", 1);
  return answer;
}

}  // namespace detection::store::sql
