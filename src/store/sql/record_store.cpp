#include "store/sql/record_store.hpp"

#include "store/sql/audit.hpp"
#include "store/sql/audit_search.hpp"
#include "store/sql/credentials.hpp"
#include "store/sql/decisions.hpp"
#include "store/sql/delivery_view.hpp"
#include "store/sql/detection_row.hpp"
#include "store/sql/feed.hpp"
#include "store/sql/listing.hpp"
#include "store/sql/prune.hpp"

namespace detection::store::sql {

template <class Use>
auto RecordStore::with_reader(Use use, bool limited) -> decltype(use(std::declval<Database&>())) {
  auto reader = readers_.lease(limited);
  if (!reader) return std::unexpected(std::move(reader.error()));
  return use(**reader);
}

template <class Work>
Result<void> RecordStore::commit_with(const AuditEntry& entry, Work work) {
  auto done = commit([&](Ledger& ledger, UtcMicros now) -> Result<void> {
    if (auto worked = work(ledger.database(), now); !worked) return worked;
    AuditRecord record{
        .at = now, .type = entry.type, .severity = entry.severity, .actor = entry.actor, .body = entry.detail_json};
    if (entry.subject) record.subject = entry.subject->bytes;
    auto key = ledger.append(record);
    if (!key) return std::unexpected(std::move(key.error()));
    return {};
  });
  if (done) count_audit(entry.type, entry.severity);
  return done;
}

Result<void> RecordStore::commit(Writer::Work work) {
  return write_ ? write_->writer.execute(std::move(work)) : read_only();
}

void RecordStore::count_audit(std::string_view type, std::string_view severity) {
  if (write_) write_->writer.count_audit(type, severity, 1);
}

Result<void> RecordStore::try_reading() {
  return with_reader([](Database&) { return Result<void>(); });
}

TombstoneSigner RecordStore::signer() {
  const std::lock_guard lock(signer_mutex_);
  return signer_;
}

std::optional<std::vector<std::string>> RecordStore::sinks() const {
  if (!write_) return std::nullopt;
  return write_->outbox.sinks();
}

bool RecordStore::submit(std::unique_ptr<CommitJob>& job) {
  return write_ && write_->writer.submit(job);
}

Result<std::optional<StoredDetection>> RecordStore::find(const Uuid& id) {
  return with_reader([&](Database& db) -> Result<std::optional<StoredDetection>> {
    auto q = db.query("SELECT " DETECTION_STORED_COLUMNS " FROM detection WHERE id = ?");
    auto row = q.bind(id.bytes).step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return std::nullopt;
    auto stored = read_stored(q);
    if (!stored) return std::unexpected(std::move(stored.error()));
    if (stored->detection.disposition == Disposition::kHold) {
      auto decided = newest_decision(db, stored->detection.sequence);
      if (!decided) return std::unexpected(std::move(decided.error()));
      if (*decided) stored->detection.decision = std::move((*decided)->decision);
    }
    return std::move(stored->detection);
  });
}

Result<DeliveryStatus> RecordStore::delivery_status(const Uuid& id) {
  return with_reader([&](Database& db) -> Result<DeliveryStatus> {
    auto snapshot = Transaction::begin(db, TransactionKind::kRead);
    if (!snapshot) return std::unexpected(std::move(snapshot.error()));
    auto q = db.query("SELECT seq, disposition FROM detection WHERE id = ?");
    auto row = q.bind(id.bytes).step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return fail(ErrorCode::kNotFound, "there is no detection " + to_string(id));
    const auto sequence = q.integer(0);
    auto deliveries = DeliveryView::load(db, sinks());
    if (!deliveries) return std::unexpected(std::move(deliveries.error()));
    if (auto done = deliveries->load_exceptions(db, sequence, sequence); !done)
      return std::unexpected(std::move(done.error()));
    return deliveries->status(sequence, static_cast<Disposition>(q.integer(1)));
  });
}

Result<ListPage> RecordStore::list(const ListFilter& filter, std::optional<std::int64_t> before, std::size_t limit) {
  return with_reader([&](Database& db) { return sql::list(db, sinks(), filter, before, limit); });
}

Result<void> RecordStore::open_sink(std::string_view sink, const QueueLimits& limits) {
  return write_ ? write_->outbox.open_sink(sink, limits) : read_only();
}
Result<Claim> RecordStore::claim(std::string_view sink, std::size_t limit) {
  if (!write_) return read_only();
  return write_->outbox.claim(sink, limit);
}
void RecordStore::shorten(Claim& claim, std::size_t count) {
  if (write_) write_->outbox.shorten(claim, count);
}
Result<void> RecordStore::confirm(const Claim& claim, Confirmation how, UtcMicros sent,
                                  const std::vector<Omission>& omitted) {
  return write_ ? write_->outbox.confirm(claim, how, sent, omitted) : read_only();
}
void RecordStore::give_back(const Claim& claim) {
  if (write_) write_->outbox.give_back(claim);
}
Result<void> RecordStore::mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) {
  return write_ ? write_->outbox.mark_dead(claim, sequence, reason) : read_only();
}
Result<std::vector<SinkQueue>> RecordStore::sink_queues() {
  return with_reader([&](Database& db) { return stored_queues(db, sinks(), write_ ? &write_->writer : nullptr); });
}
Result<DeadLetterPage> RecordStore::dead_letters(std::string_view sink, std::optional<std::int64_t> before,
                                                 std::size_t limit) {
  return with_reader([&](Database& db) { return sql::dead_letters(db, sink, before, limit); });
}
Result<std::int64_t> RecordStore::retry_dead_letters(std::string_view sink, std::string_view actor) {
  if (!write_) return read_only();
  return sql::retry_dead_letters(write_->writer, sink, actor);
}
Result<Store::Verified> RecordStore::verify(const Verification& verification) {
  if (!write_) return read_only();
  return decide(write_->writer, verification, sinks());
}

Result<void> RecordStore::record(const AuditEntry& entry) {
  return commit_with(entry, [](Database&, UtcMicros) { return Result<void>(); });
}
Result<std::vector<AuditEvent>> RecordStore::timeline(const Uuid& id) {
  return with_reader([&](Database& db) { return sql::timeline(db, id); });
}
Result<AuditVerdict> RecordStore::verify_audit() {
  VerifyContext context{.signer = signer(), .stop = closing_, .structure = structure_check()};
  if (write_) context.live = write_->writer.chain();
  return with_reader([&](Database& db) { return sql::verify(db, context); }, false);
}
Result<AuditPage> RecordStore::search_audit(const AuditFilter& filter, std::string_view cursor, std::size_t limit) {
  return with_reader([&](Database& db) { return sql::search_audit(db, filter, cursor, limit); });
}
Result<void> RecordStore::export_audit(const std::function<bool(const AuditRecordText&)>& each) {
  return sql::export_audit(readers_, each, closing_);
}
Result<std::int64_t> RecordStore::prune_audit(UtcMicros before, std::string_view actor) {
  return prune({.readers = readers_,
                .commit = [this](Writer::Work work) { return commit(std::move(work)); },
                .signer = signer(),
                .before = before,
                .now = clock_(),
                .actor = actor,
                .stop = closing_});
}
void RecordStore::set_tombstone_signer(TombstoneSigner signer) {
  const std::lock_guard lock(signer_mutex_);
  signer_ = std::move(signer);
}

Result<void> RecordStore::put_api_key(const ApiKeyRecord& key, const AuditEntry& entry,
                                      const std::optional<Sha256>& instead_of) {
  return commit_with(entry, [&](Database& db, UtcMicros now) { return sql::put_api_key(db, key, instead_of, now); });
}
Result<std::vector<ApiKeyRecord>> RecordStore::api_keys() {
  return with_reader([](Database& db) { return sql::api_keys(db); });
}
Result<void> RecordStore::touch_api_keys(const std::vector<std::pair<std::string, UtcMicros>>& used) {
  if (used.empty()) return {};
  return commit([&](Ledger& ledger, UtcMicros) { return sql::touch_api_keys(ledger.database(), used); });
}
Result<void> RecordStore::revoke_token(const RevokedToken& token, const AuditEntry& entry) {
  return commit_with(entry, [&](Database& db, UtcMicros now) { return sql::revoke_token(db, token, now); });
}
Result<std::vector<RevokedToken>> RecordStore::revoked_tokens() {
  return with_reader([](Database& db) { return sql::revoked_tokens(db); });
}

Result<std::string> RecordStore::feed_head() {
  return with_reader([](Database& db) { return sql::feed_head(db); });
}
Result<FeedPage> RecordStore::feed(std::string_view cursor, std::size_t limit) {
  return with_reader([&](Database& db) { return sql::feed(db, cursor, limit); });
}

Result<std::optional<std::string>> RecordStore::active_slot() {
  return with_reader([](Database& db) { return db.text("SELECT active_slot FROM release"); });
}
Result<void> RecordStore::set_active_slot(std::string_view slot, std::string_view actor) {
  return commit_with(release_entry(slot, actor), [slot](Database& db, UtcMicros) {
    return db
        .query(
            "INSERT INTO release (number, active_slot) VALUES (1, ?) ON CONFLICT (number) DO UPDATE SET "
            "active_slot = excluded.active_slot")
        .bind(slot)
        .run();
  });
}

void RecordStore::on_commit(std::function<void()> listener) {
  if (write_) write_->writer.on_commit(std::move(listener));
}
void RecordStore::on_due(std::function<void()> listener) {
  if (write_) write_->writer.on_due(std::move(listener));
}

}  // namespace detection::store::sql
