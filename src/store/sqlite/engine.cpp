#include "store/sqlite/engine.hpp"

#include <atomic>
#include <system_error>

#include "store/sqlite/audit.hpp"
#include "store/sqlite/delivery_view.hpp"
#include "store/sqlite/detection_row.hpp"
#include "store/sqlite/directory_lock.hpp"
#include "store/sqlite/listing.hpp"
#include "store/sqlite/log_keeper.hpp"
#include "store/sqlite/outbox.hpp"
#include "store/sqlite/reader_pool.hpp"
#include "store/sqlite/schema.hpp"
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

  Result<void> serve(DirectoryLock lock, Database writer, Database keeper, const Options& options, bool unclean) {
    lock_ = std::move(lock);
    write_ = std::make_unique<WriteSide>(std::move(writer), std::move(keeper), readers_, options);
    if (auto done = write_->writer.load(); !done) return done;
    write_->writer.start();
    write_->log.start(unclean);
    return {};
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
    if (auto done = deliveries->load_dead(db, sequence, sequence); !done)
      return std::unexpected(std::move(done.error()));
    return deliveries->status(sequence, static_cast<Disposition>(q.integer(1)));
  }

  Result<ListPage> list(const ListFilter& filter, std::optional<std::int64_t> before, std::size_t limit) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::list(**reader, sinks(), filter, before, limit);
  }

  Result<void> open_sink(std::string_view sink) override {
    return write_ ? write_->outbox.open_sink(sink) : read_only();
  }
  Result<Claim> claim(std::string_view sink, std::size_t limit) override {
    if (!write_) return read_only();
    return write_->outbox.claim(sink, limit);
  }
  Result<void> confirm(const Claim& claim, Confirmation how, UtcMicros sent) override {
    return write_ ? write_->outbox.confirm(claim, how, sent) : read_only();
  }
  void give_back(const Claim& claim) override {
    if (write_) write_->outbox.give_back(claim);
  }
  Result<void> mark_dead(const Claim& claim, std::int64_t sequence, std::string_view reason) override {
    return write_ ? write_->outbox.mark_dead(claim, sequence, reason) : read_only();
  }
  Result<std::vector<SinkQueue>> sink_queues() override {
    if (write_) return write_->outbox.queues();
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return stored_queues(**reader);
  }

  Result<void> record(const AuditEntry& entry) override {
    if (!write_) return read_only();
    auto done = write_->writer.execute([&](Ledger& ledger, UtcMicros now) -> Result<void> {
      AuditRecord record{
          .at = now, .type = entry.type, .severity = entry.severity, .actor = entry.actor, .body = entry.detail_json};
      if (entry.subject) record.subject = entry.subject->bytes;
      auto key = ledger.append(record);
      if (!key) return std::unexpected(std::move(key.error()));
      return {};
    });
    if (done) write_->writer.count_audit(entry.type, entry.severity, 1);
    return done;
  }

  Result<std::vector<AuditEvent>> timeline(const Uuid& id) override {
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return sqlite::timeline(**reader, id);
  }

  Result<AuditVerdict> verify_audit() override {
    std::optional<std::pair<std::string, ChainHead>> live;
    if (write_) live.emplace(write_->writer.chain_name(), write_->writer.state().chain);
    auto reader = readers_.lease(false);
    if (!reader) return std::unexpected(std::move(reader.error()));
    return verify(**reader, std::move(live), closing_);
  }

  void on_due(std::function<void()> listener) override {
    if (write_) write_->writer.on_due(std::move(listener));
  }

  StoreStatus status() override {
    StoreStatus status;
    if (!write_) {
      status.reason = "the store was opened for reading";
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

  void close() override {
    closing_ = true;
    if (!write_) return;
    write_->writer.close();
    write_->log.stop();
  }

 private:
  [[nodiscard]] std::optional<std::vector<std::string>> sinks() const {
    if (!write_) return std::nullopt;
    return write_->outbox.sinks();
  }

  std::atomic<bool> closing_{false};
  // In the order of their ends: the writer before its readers, the lock last.
  DirectoryLock lock_;
  ReaderPool readers_;
  std::unique_ptr<WriteSide> write_;
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
