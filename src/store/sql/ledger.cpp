#include "store/sql/ledger.hpp"

#include <algorithm>

#include "store/sql/capacity.hpp"
#include "store/sql/detection_row.hpp"
#include "store/sql/limits.hpp"

namespace detection::store::sql {
Result<void> Ledger::load_chain() {
  if (!db_.is_postgres()) {  // there it is made when it is taken
    auto known = db_.query("INSERT INTO audit_chain (name) VALUES (?) ON CONFLICT DO NOTHING").bind(chain_name_).run();
    if (!known) return known;
  }
  {
    auto q = db_.query("SELECT number FROM audit_chain WHERE name = ?");
    auto row = q.bind(chain_name_).step();
    if (!row) return std::unexpected(std::move(row.error()));
    chain_ = q.integer(0);
  }
  {
    auto q = db_.query("SELECT record, sha256 FROM audit WHERE record > ? AND record < ? ORDER BY record DESC LIMIT 1");
    auto row = q.bind(record_key(chain_, 0)).bind(record_key(chain_ + 1, 0)).step();
    if (!row) return std::unexpected(std::move(row.error()));
    state_.chain = {};
    if (*row) {
      state_.chain.number = number_in_chain(q.integer(0));
      const auto hash = q.bytes(1);
      if (hash.size() != state_.chain.sha256.size())
        return fail(ErrorCode::kStoreUnavailable, "the head of the audit chain is damaged; restore from a backup");
      std::ranges::copy(hash, state_.chain.sha256.begin());
    }
  }
  return {};
}

Result<void> Ledger::load() {
  if (auto done = load_chain(); !done) return done;
  auto head = db_.integer("SELECT max(seq) FROM detection");
  if (!head) return std::unexpected(std::move(head.error()));
  auto exceptional = db_.integer("SELECT count(*) FROM detection WHERE disposition <> 0");
  if (!exceptional) return std::unexpected(std::move(exceptional.error()));
  auto mean = mean_record_bytes(db_);
  if (!mean) return std::unexpected(std::move(mean.error()));
  state_.head = head->value_or(0);
  state_.exceptional = exceptional->value_or(0);
  state_.mean_bytes = *mean;
  return {};
}

Result<CommitResult> Ledger::accept(const Acceptance& item, UtcMicros now) {
  const DetectionRow row{state_.head + 1,     item.located,      item.disposition,
                         item.content_sha256, item.request_json, next_record()};
  auto created = insert(db_, row);
  if (!created) return std::unexpected(std::move(created.error()));
  if (!*created) return repeated(item);
  const auto row_sha256 = digest(digest_, row);
  const auto body = acceptance_body(item);
  auto record = append({.at = now,
                        .type = kAcceptanceType,
                        .severity = "INFO",
                        .actor = item.actor,
                        .detection = row.sequence,
                        .detection_sha256 = row_sha256,
                        .body = body});
  if (!record) return std::unexpected(std::move(record.error()));
  count(item, row.sequence);
  return CommitResult{CommitOutcome::kCreated, row.sequence, nullptr};
}

void Ledger::count(const Acceptance& item, std::int64_t sequence) {
  state_.head = sequence;
  const auto bytes = record_bytes(item);
  state_.mean_bytes += (bytes - state_.mean_bytes) / static_cast<double>(std::min(sequence, limits::kMeanOf));
  if (item.disposition == Disposition::kQueue)
    note_due();
  else
    ++state_.exceptional;
}

Result<CommitResult> Ledger::accept_new(const Acceptance& item, UtcMicros now, const WriteDown& write_down) {
  const auto number = state_.chain.number + 1;
  const auto key = next_record();
  const DetectionRow row{state_.head + 1, item.located, item.disposition, item.content_sha256, item.request_json, key};
  const auto row_sha256 = digest(digest_, row);
  const auto body = acceptance_body(item);
  const AuditRecord record{.at = now,
                           .type = kAcceptanceType,
                           .severity = "INFO",
                           .actor = item.actor,
                           .detection = row.sequence,
                           .detection_sha256 = row_sha256,
                           .body = body};
  const auto hash = chained(digest_, state_.chain.sha256, chain_name_, number, record);
  if (auto done = write_down(row, key, record, hash); !done) return std::unexpected(std::move(done.error()));
  state_.chain = {number, hash};
  count(item, row.sequence);
  return CommitResult{CommitOutcome::kCreated, row.sequence, nullptr};
}

Result<CommitResult> Ledger::repeated(const Acceptance& item) {
  auto q = db_.query("SELECT " DETECTION_STORED_COLUMNS " FROM detection WHERE id = ?");
  auto row = q.bind(item.located.id.bytes).step();
  if (!row) return std::unexpected(std::move(row.error()));
  auto stored = read_stored(q);
  if (!stored) return std::unexpected(std::move(stored.error()));
  CommitResult result{CommitOutcome::kConflict, stored->detection.sequence, nullptr};
  if (stored->detection.content_sha256 == item.content_sha256) {
    result.outcome = CommitOutcome::kRepeated;
    result.first = std::make_unique<StoredDetection>(std::move(stored->detection));
  }
  return result;
}

Result<std::int64_t> Ledger::append(const AuditRecord& record) {
  const auto number = state_.chain.number + 1;
  const auto key = record_key(chain_, number);
  const auto hash = chained(digest_, state_.chain.sha256, chain_name_, number, record);
  auto done =
      db_.query(
             "INSERT INTO audit (record, at, type, severity, actor, subject, detection, detection_sha256, body, "
             "sha256) VALUES (?,?,?,?,?,?,?,?,?,?)")
          .bind(key)
          .bind(record.at.count)
          .bind(record.type)
          .bind(record.severity)
          .bind(record.actor)
          .bind(record.subject)
          .bind(record.detection)
          .bind(record.detection_sha256)
          .bind(record.body)
          .bind(hash)
          .run();
  if (!done) return std::unexpected(std::move(done.error()));
  state_.chain = {number, hash};
  if (!record.detection || number % kRememberEvery == 0)
    if (done = remember_head(); !done) return std::unexpected(std::move(done.error()));
  return key;
}

Result<void> Ledger::remember_head() {
  if (state_.chain.number == 0) return {};
  // Never over a head that is no longer there: it is the evidence that an end was cut off.
  return db_
      .query(
          "INSERT INTO audit_head (chain, number, sha256) VALUES (?,?,?) ON CONFLICT (chain) DO UPDATE "
          "SET number = excluded.number, sha256 = excluded.sha256 WHERE excluded.number > audit_head.number AND "
          "EXISTS (SELECT 1 FROM audit WHERE record = (audit_head.chain << 40) + audit_head.number "
          "AND audit.sha256 = audit_head.sha256)")
      .bind(chain_)
      .bind(state_.chain.number)
      .bind(state_.chain.sha256)
      .run();
}

}  // namespace detection::store::sql
