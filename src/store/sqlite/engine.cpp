#include "store/sqlite/engine.hpp"

#include <system_error>

#include "store/sql/record_store.hpp"
#include "store/sqlite/beside.hpp"
#include "store/sqlite/directory_lock.hpp"
#include "store/sqlite/limits.hpp"
#include "store/sqlite/log_keeper.hpp"
#include "store/sqlite/schema.hpp"
#include "store/sqlite/structure.hpp"

namespace detection::store::sqlite {
namespace {

using sql::Ledger;
using sql::Writer;

/// One process writes: nobody else changes where things stand.
class SqliteBackend final : public sql::Backend {
 public:
  explicit SqliteBackend(LogKeeper& log) : log_(log) {}

  [[nodiscard]] Result<Connected> reconnect() override {
    return fail(ErrorCode::kStoreUnavailable, "the database is closed");
  }
  [[nodiscard]] Result<void> begin(Ledger& /*ledger*/) override { return {}; }
  [[nodiscard]] Result<void> finish(Ledger& /*ledger*/) override { return {}; }
  [[nodiscard]] Result<std::vector<CommitResult>> accept(Ledger& ledger, std::span<const Acceptance* const> items,
                                                         UtcMicros now) override {
    std::vector<CommitResult> results;
    results.reserve(items.size());
    for (const auto* item : items) {
      auto result = ledger.accept(*item, now);
      if (!result) return std::unexpected(std::move(result.error()));
      results.push_back(std::move(*result));
    }
    return results;
  }
  void between(Database& db) override { log_.bound(db); }
  [[nodiscard]] Result<void> probe(Database& db) override {
    return db
        .query(
            "INSERT INTO probe (number, payload) VALUES (1, zeroblob(?)) ON CONFLICT (number) DO UPDATE "
            "SET payload = excluded.payload")
        .bind(limits::kProbeBytes)
        .run();
  }
  [[nodiscard]] std::chrono::milliseconds probe_every() const override { return limits::kProbeEvery; }

 private:
  LogKeeper& log_;
};

class SqliteStore final : public sql::RecordStore {
 public:
  SqliteStore(const std::filesystem::path& file, Access readers, Clock clock)
      : RecordStore([file, readers] { return connect(file, readers); }, limits::kReaders, clock) {}
  ~SqliteStore() override {
    end();
    // The directory's lock goes last.
    write_.reset();
    readers_.close_idle();
  }

  Result<void> serve(DirectoryLock lock, Database writer, Database keeper, const Options& options, bool unclean) {
    lock_ = std::move(lock);
    log_ = std::make_unique<LogKeeper>(std::move(keeper), options.metrics);
    log_->watch(writer);
    backend_ = std::make_unique<SqliteBackend>(*log_);
    write_ = std::make_unique<sql::WriteSide>(std::move(writer), options.audit_chain, *backend_, options.clock,
                                              options.metrics, readers_, nullptr);
    if (auto done = write_->writer.load(); !done) return done;
    write_->writer.start();
    log_->start(unclean);
    return try_reading();
  }

  Result<void> write_beside(Database db, const Options& options) {
    beside_ = std::make_unique<Beside>(std::move(db), options.audit_chain, options.clock, options.metrics);
    return try_reading();
  }

  Result<void> read() { return try_reading(); }

  Result<std::vector<SharedUsage>> share_usage(const std::vector<SharedUsage>& /*spent*/) override {
    return std::vector<SharedUsage>();
  }

  StoreStatus status() override {
    StoreStatus status;
    if (!write_) {
      status.writable = beside_ != nullptr;
      if (!beside_) status.reason = read_only().error().detail;
      auto reader = readers_.lease();
      if (!reader) return status;
      if (auto head = (*reader)->integer("SELECT max(seq) FROM detection")) status.detections = head->value_or(0);
      return status;
    }
    status.detections = write_->writer.state().head;
    status.waiting = write_->writer.waiting();
    auto failure = write_->writer.failure();
    if (!failure) failure = log_->damage();
    status.writable = !failure;
    status.reason = std::move(failure).value_or("");
    return status;
  }

  void close() override { end(); }

 private:
  void end() {
    const bool first = begin_closing();
    if (beside_) beside_->close();
    if (!write_) return;
    // So that an end that is cut off while nobody serves is missed; best effort, the disk may be full.
    if (first) (void)write_->writer.execute([](Ledger& ledger, UtcMicros) { return ledger.remember_head(); });
    write_->writer.close();
    log_->stop();
  }

  [[nodiscard]] Result<void> commit(Writer::Work work) override {
    return beside_ ? beside_->execute(work) : RecordStore::commit(std::move(work));
  }
  void count_audit(std::string_view type, std::string_view severity) override {
    if (beside_)
      beside_->count_audit(type, severity);
    else
      RecordStore::count_audit(type, severity);
  }
  [[nodiscard]] sql::StructureCheck structure_check() const override { return check_structure; }

  DirectoryLock lock_;
  std::unique_ptr<LogKeeper> log_;
  std::unique_ptr<SqliteBackend> backend_;
  std::unique_ptr<Beside> beside_;
};

}  // namespace

Result<std::unique_ptr<Store>> open(const Options& options) {
  std::error_code failure;
  const auto file = options.directory / "detections.db";
  if (options.read_only) {
    if (!std::filesystem::exists(file, failure))
      return fail(ErrorCode::kConfiguration, "there is no store in " + options.directory.string());
    auto store = std::make_unique<SqliteStore>(file, Access::kReadOnly, options.clock);
    if (auto done = store->read(); !done) return std::unexpected(std::move(done.error()));
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
    auto store = std::make_unique<SqliteStore>(file, Access::kQuery, options.clock);
    if (auto done = store->write_beside(std::move(*db), options); !done)
      return std::unexpected(std::move(done.error()));
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
  auto store = std::make_unique<SqliteStore>(file, Access::kQuery, options.clock);
  if (auto done = store->serve(std::move(*lock), std::move(*writer), std::move(*keeper), options, unclean); !done)
    return std::unexpected(std::move(done.error()));
  return store;
}

}  // namespace detection::store::sqlite
