#include "store/sqlite/engine.hpp"

#include <atomic>
#include <mutex>
#include <system_error>

#include "store/sqlite/audit.hpp"
#include "store/sqlite/audit_search.hpp"
#include "store/sqlite/beside.hpp"
#include "store/sqlite/credentials.hpp"
#include "store/sqlite/decisions.hpp"
#include "store/sqlite/delivery_view.hpp"
#include "store/sqlite/detection_row.hpp"
#include "store/sqlite/directory_lock.hpp"
#include "store/sqlite/feed.hpp"
#include "store/sqlite/listing.hpp"
#include "store/sqlite/log_keeper.hpp"
#include "store/sqlite/outbox.hpp"
#include "store/sqlite/prune.hpp"
#include "store/sqlite/reader_pool.hpp"
#include "store/sqlite/schema.hpp"
#include "store/sqlite/verify.hpp"
#include "store/sqlite/writer.hpp"

namespace detection::store::sqlite {
namespace {

std::unexpected<Error> read_only() {
  return fail(ErrorCode::kStoreUnavailable, "the store was opened for reading");
}

/// What only the serving process has.
struct WriteSide {
  WriteSide(Database writing, Database keeping, ReaderPool& readers, const Options& options)
      : log(std::move(keeping), options.metrics),
        writer(std::move(writing), options.audit_chain, log, options.clock, options.metrics),
        outbox(writer, readers, static_cast<std::uint64_t>(system_now().count)) {}
  ~WriteSide() {
    writer.close();
    log.stop();
  }
  LogKeeper log;
  Writer writer;
  Outbox outbox;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(std::filesystem::path file, Access readers) : readers_(std::move(file), readers) {}
  ~SqliteStore() override { end(); }

  Result<void> serve(DirectoryLock lock, Database writer, Database keeper, const Options& options, bool unclean) {
    lock_ = std::move(lock);
    clock_ = options.clock;
    write_ = std::make_unique<WriteSide>(std::move(writer), std::move(keeper), readers_, options);
    if (auto done = write_->writer.load(); !done) return done;
    write_->writer.start();
    write_->log.start(unclean);
    return {};
  }

  void write_beside(Database db, const Options& options) {
    clock_ = options.clock;
    beside_ = std::make_unique<Beside>(std::move(db), options.audit_chain, options.clock, options.metrics);
  }

  /// Opens the first reader, so that what is wrong shows at the start.
  Result<void> try_reading() {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return {};
  }

  bool submit(std::unique_ptr<CommitJob>& job) override { return write_ && write_->writer.submit(job); }

  Result<std::optional<StoredDetection>> find(const Uuid& id) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    auto q = (*reader)->query("SELECT " DETECTION_STORED_COLUMNS " FROM detection WHERE id = ?");
    auto row = q.bind(id.bytes).step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return std::nullopt;
    auto stored = read_stored(q);
    if (!stored) return std::unexpected(std::move(stored.error()));
    if (stored->detection.disposition == Disposition::kHold) {
      auto decided = newest_decision(**reader, stored->detection.sequence);
      if (!decided) return std::unexpected(std::move(decided.error()));
      if (*decided) stored->detection.decision = std::move((*decided)->decision);
    }
    return std::move(stored->detection);
  }

  Result<DeliveryStatus> delivery_status(const Uuid& id) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    auto& db = **reader;
    auto snapshot = Transaction::begin(db, false);
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
  }

  Result<ListPage> list(const ListFilter& filter, std::optional<std::int64_t> before, std::size_t limit) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::list(**reader, sinks(), filter, before, limit);
  }

  Result<void> open_sink(std::string_view sink, const QueueLimits& limits) override {
    return write_ ? write_->outbox.open_sink(sink, limits) : read_only();
  }
  Result<Claim> claim(std::string_view sink, std::size_t limit) override {
    if (!write_) return read_only();
    return write_->outbox.claim(sink, limit);
  }
  void shorten(Claim& claim, std::size_t count) override {
    if (write_) write_->outbox.shorten(claim, count);
  }
  Result<void> confirm(const Claim& claim, Confirmation how, UtcMicros sent,
                       const std::vector<Omission>& omitted) override {
    return write_ ? write_->outbox.confirm(claim, how, sent, omitted) : read_only();
  }
  void give_back(const Claim& claim) override {
    if (write_) write_->outbox.give_back(claim);
  }
  Result<void> mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) override {
    return write_ ? write_->outbox.mark_dead(claim, sequence, reason) : read_only();
  }
  Result<std::vector<SinkQueue>> sink_queues() override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return stored_queues(**reader, sinks(), write_ ? &write_->writer : nullptr);
  }

  Result<DeadLetterPage> dead_letters(std::string_view sink, std::optional<std::int64_t> before,
                                      std::size_t limit) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::dead_letters(**reader, sink, before, limit);
  }

  Result<void> record(const AuditEntry& entry) override {
    return commit_with(entry, [](Database&, UtcMicros) { return Result<void>(); });
  }

  Result<std::vector<AuditEvent>> timeline(const Uuid& id) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::timeline(**reader, id);
  }

  Result<AuditVerdict> verify_audit() override {
    VerifyContext context{.signer = signer(), .stop = closing_};
    if (write_) context.live.emplace(write_->writer.chain_name(), write_->writer.state().chain);
    auto reader = readers_.lease(false);
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::verify(**reader, context);
  }

  // --- outbox, decisions, feed
  Result<std::int64_t> retry_dead_letters(std::string_view sink, std::string_view actor) override {
    if (!write_) return read_only();
    return sqlite::retry_dead_letters(write_->writer, sink, actor);
  }
  Result<Verified> verify(const Verification& verification) override {
    if (!write_) return read_only();
    return decide(write_->writer, verification, sinks());
  }
  Result<std::string> feed_head() override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::feed_head(**reader);
  }
  Result<FeedPage> feed(std::string_view cursor, std::size_t limit) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::feed(**reader, cursor, limit);
  }
  void on_commit(std::function<void()> listener) override {
    if (write_) write_->writer.on_commit(std::move(listener));
  }

  // --- audit search, export, pruning; credentials
  Result<AuditPage> search_audit(const AuditFilter& filter, std::string_view cursor, std::size_t limit) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::search_audit(**reader, filter, cursor, limit);
  }
  Result<void> export_audit(const std::function<bool(const AuditRecordText&)>& each) override {
    return sqlite::export_audit(readers_, each, closing_);
  }
  Result<std::int64_t> prune_audit(UtcMicros before, std::string_view actor) override {
    if (!write_ && !beside_) return read_only();
    return prune({.readers = readers_,
                  .commit = [this](Writer::Work work) { return commit(std::move(work)); },
                  .signer = signer(),
                  .before = before,
                  .now = clock_(),
                  .actor = actor,
                  .stop = closing_});
  }
  void set_tombstone_signer(TombstoneSigner signer) override {
    const std::lock_guard lock(signer_mutex_);
    signer_ = std::move(signer);
  }
  Result<void> put_api_key(const ApiKeyRecord& key, const AuditEntry& entry,
                           const std::optional<Sha256>& instead_of) override {
    return commit_with(entry,
                       [&](Database& db, UtcMicros now) { return sqlite::put_api_key(db, key, instead_of, now); });
  }
  Result<std::vector<ApiKeyRecord>> api_keys() override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::api_keys(**reader);
  }
  Result<void> touch_api_keys(const std::vector<std::pair<std::string, UtcMicros>>& used) override {
    if (used.empty()) return {};
    return commit([&](Ledger& ledger, UtcMicros) { return sqlite::touch_api_keys(ledger.database(), used); });
  }
  Result<void> revoke_token(const RevokedToken& token, const AuditEntry& entry) override {
    return commit_with(entry, [&](Database& db, UtcMicros now) { return sqlite::revoke_token(db, token, now); });
  }
  Result<std::vector<RevokedToken>> revoked_tokens() override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::revoked_tokens(**reader);
  }

  Result<std::optional<std::string>> active_slot() override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return (*reader)->text("SELECT active_slot FROM release");
  }
  Result<void> set_active_slot(std::string_view slot, std::string_view actor) override {
    return commit_with(release_entry(slot, actor), [slot](Database& db, UtcMicros) {
      return db
          .query(
              "INSERT INTO release (number, active_slot) VALUES (1, ?) ON CONFLICT (number) DO UPDATE SET "
              "active_slot = excluded.active_slot")
          .bind(slot)
          .run();
    });
  }
  Result<std::vector<SharedUsage>> share_usage(const std::vector<SharedUsage>&) override {
    return std::vector<SharedUsage>();
  }

  void on_due(std::function<void()> listener) override {
    if (write_) write_->writer.on_due(std::move(listener));
  }

  StoreStatus status() override {
    StoreStatus status;
    if (!write_) {
      status.writable = beside_ != nullptr;
      if (!beside_) status.reason = "the store was opened for reading";
      auto reader = readers_.lease();
      if (!reader) return status;
      if (auto head = (*reader)->integer("SELECT max(seq) FROM detection")) status.detections = head->value_or(0);
      return status;
    }
    status.detections = write_->writer.state().head;
    status.waiting = write_->writer.waiting();
    auto failure = write_->writer.failure();
    if (!failure) failure = write_->log.damage();
    status.writable = !failure;
    status.reason = std::move(failure).value_or("");
    return status;
  }

  void close() override { end(); }

 private:
  void end() {
    const bool first = !closing_.exchange(true);
    if (beside_) beside_->close();
    if (!write_) return;
    // So that an end that is cut off while nobody serves is missed; best effort, the disk may be full.
    if (first) (void)write_->writer.execute([](Ledger& ledger, UtcMicros) { return ledger.remember_head(); });
    write_->writer.close();
    write_->log.stop();
  }

  /// One transaction of this process.
  [[nodiscard]] Result<void> commit(Writer::Work work) {
    if (write_) return write_->writer.execute(std::move(work));
    return beside_ ? beside_->execute(work) : read_only();
  }

  /// The same, with its audit record behind it.
  template <class Work>
  [[nodiscard]] Result<void> commit_with(const AuditEntry& entry, Work work) {
    auto done = commit([&](Ledger& ledger, UtcMicros now) -> Result<void> {
      if (auto worked = work(ledger.database(), now); !worked) return worked;
      AuditRecord record{
          .at = now, .type = entry.type, .severity = entry.severity, .actor = entry.actor, .body = entry.detail_json};
      if (entry.subject) record.subject = entry.subject->bytes;
      auto key = ledger.append(record);
      if (!key) return std::unexpected(std::move(key.error()));
      return {};
    });
    if (done && write_) write_->writer.count_audit(entry.type, entry.severity, 1);
    if (done && beside_) beside_->count_audit(entry.type, entry.severity);
    return done;
  }

  [[nodiscard]] TombstoneSigner signer() {
    const std::lock_guard lock(signer_mutex_);
    return signer_;
  }

  [[nodiscard]] std::optional<std::vector<std::string>> sinks() const {
    if (!write_) return std::nullopt;
    return write_->outbox.sinks();
  }

  std::atomic<bool> closing_{false};
  Clock clock_ = system_now;
  std::mutex signer_mutex_;
  TombstoneSigner signer_;
  // In the order of their ends: the writer before its readers, the lock last.
  DirectoryLock lock_;
  ReaderPool readers_;
  std::unique_ptr<WriteSide> write_;
  std::unique_ptr<Beside> beside_;
};

}  // namespace

Result<std::unique_ptr<Store>> open(const Options& options) {
  std::error_code failure;
  const auto file = options.directory / "detections.db";
  if (options.read_only) {
    if (!std::filesystem::exists(file, failure))
      return fail(ErrorCode::kConfiguration, "there is no store in " + options.directory.string());
    auto store = std::make_unique<SqliteStore>(file, Access::kReadOnly);
    if (auto done = store->try_reading(); !done) return std::unexpected(std::move(done.error()));
    return store;
  }
  std::filesystem::create_directories(options.directory, failure);
  if (failure)
    return fail(ErrorCode::kConfiguration,
                "cannot make the data directory " + options.directory.string() + ": " + failure.message());
  if (options.beside_serve) {
    if (options.audit_chain == Options{}.audit_chain)
      return fail(ErrorCode::kInternal, "a writer beside serve needs an audit chain of its own");
    auto db = connect_beside(file);
    if (!db) return std::unexpected(std::move(db.error()));
    auto store = std::make_unique<SqliteStore>(file, Access::kQuery);
    store->write_beside(std::move(*db), options);
    if (auto done = store->try_reading(); !done) return std::unexpected(std::move(done.error()));
    return store;
  }
  auto lock = DirectoryLock::take(options.directory);
  if (!lock) return std::unexpected(std::move(lock.error()));
  // A process that closes its last connection takes the log away.
  auto log_bytes = std::filesystem::file_size(file.string() + "-wal", failure);
  const bool unclean = !failure && log_bytes != 0;
  auto writer = connect(file, Access::kCreate);
  if (!writer) return std::unexpected(std::move(writer.error()));
  auto keeper = connect(file, Access::kCreate);
  if (!keeper) return std::unexpected(std::move(keeper.error()));
  auto store = std::make_unique<SqliteStore>(file, Access::kQuery);
  if (auto done = store->serve(std::move(*lock), std::move(*writer), std::move(*keeper), options, unclean); !done)
    return std::unexpected(std::move(done.error()));
  if (auto done = store->try_reading(); !done) return std::unexpected(std::move(done.error()));
  return store;
}

}  // namespace detection::store::sqlite
