#include "store/postgres/engine.hpp"

#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "store/postgres/backend.hpp"
#include "store/postgres/schema.hpp"
#include "store/postgres/shared_usage.hpp"
#include "store/postgres/watch.hpp"
#include "store/sql/record_store.hpp"

namespace detection::store::postgres {
namespace {

/// Few: a database serves many processes, each with these, a writer and a watch.
constexpr std::size_t kReaders = 4;
constexpr std::chrono::milliseconds kConnectTime{1'000};
constexpr std::chrono::seconds kMigrationPatience{30}, kMigrationStep{300};

ConnectOptions connect_options(const Options& options, const char* role) {
  ConnectOptions out;
  out.url = options.url;
  out.credentials = options.credentials;
  out.application_name = "detection-api " + options.process + " " + role;
  out.connect_time = kConnectTime;
  return out;
}

Result<Database> connect(const ConnectOptions& options) {
  auto connection = PostgresConnection::connect(options);
  if (!connection) return std::unexpected(std::move(connection.error()));
  return Database(std::move(*connection));
}

/// The gauges store_connections{state}.
class ConnectionCount {
 public:
  explicit ConnectionCount(telemetry::Metrics* metrics) {
    if (metrics == nullptr) return;
    in_use_ = metrics->gauge(telemetry::kStoreConnections, {"in_use"});
    idle_ = metrics->gauge(telemetry::kStoreConnections, {"idle"});
  }
  void readers(std::size_t open, std::size_t lent) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    lent_ = lent;
    tell();
  }
  /// The writer's and the watch's, in use all the time.
  void standing(int change) {
    const std::lock_guard lock(mutex_);
    standing_ += change;
    tell();
  }

 private:
  void tell() {
    in_use_.set(static_cast<double>(lent_) + standing_);
    idle_.set(static_cast<double>(open_ - lent_));
  }
  std::mutex mutex_;
  std::size_t open_ = 0, lent_ = 0;
  int standing_ = 0;
  telemetry::Gauge in_use_, idle_;
};

class PostgresStore final : public sql::RecordStore {
 public:
  PostgresStore(const Options& options, std::shared_ptr<ConnectionCount> count)
      // Not read-only connections: limits are shared by one of them. What reads a snapshot is, all the same.
      : RecordStore([reading = connect_options(options, "reader")] { return connect(reading); }, kReaders,
                    options.clock, [count](std::size_t open, std::size_t lent) { count->readers(open, lent); }),
        options_(options),
        count_(std::move(count)) {}
  ~PostgresStore() override {
    end();
    write_.reset();
  }

  Result<void> read() { return try_reading(); }

  Result<void> serve() {
    // The process's run among all that ever were: its name alone comes again after a restart.
    const auto run = std::to_string(options_.clock().count) + "-" + std::to_string(::getpid());
    watch_ = std::make_unique<Watch>(connect_options(options_, "watch"), options_.slot, options_.process + "/" + run);
    backend_ = std::make_unique<PostgresBackend>(connect_options(options_, "writer"), options_.commit_time,
                                                 [this](sql::Database& db) { return watch_->reconnected(db); });
    auto first = backend_->reconnect();
    if (!first) return std::unexpected(std::move(first.error()));
    usage_ = std::make_unique<UsageExchange>(options_.process + "/" + run);
    write_ = std::make_unique<sql::WriteSide>(std::move(first->db), std::move(first->chain), *backend_, clock_,
                                              options_.metrics, readers_, watch_.get());
    count_->standing(1);
    write_->writer.start();
    watch_->start({.committed = [this] { write_->writer.tell(false, true); },
                   .due = [this] { write_->writer.tell(true, false); },
                   .has_claims = [this](std::string_view sink) { return write_->outbox.has_live_claims(sink); },
                   .connected = [this](bool connected) { count_->standing(connected ? 1 : -1); }});
    return {};
  }

  Result<std::vector<SharedUsage>> share_usage(const std::vector<SharedUsage>& spent) override {
    if (!usage_) return read_only();
    auto reader = readers_.lease();
    if (!reader) return std::unexpected(std::move(reader.error()));
    return usage_->exchange(**reader, spent);
  }

  StoreStatus status() override {
    StoreStatus status;
    if (!write_) {
      status.reason = read_only().error().detail;
      status.release.slot = options_.slot;
      return status;
    }
    status.detections = std::max(write_->writer.state().head, watch_->head());
    status.waiting = write_->writer.waiting();
    auto failure = write_->writer.failure();
    status.writable = !failure;
    status.reason = std::move(failure).value_or("");
    status.release = watch_->release();
    return status;
  }

  void close() override { end(); }

 private:
  void end() {
    const bool first = begin_closing();
    if (!write_) return;
    watch_->shut();
    if (first)  // the process ends all the same
      std::ignore = write_->writer.execute([](sql::Ledger& ledger, UtcMicros) { return ledger.remember_head(); });
    write_->writer.close();
    watch_->stop();
    if (first) count_->standing(-1);
  }

  const Options options_;
  std::shared_ptr<ConnectionCount> count_;
  std::unique_ptr<UsageExchange> usage_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<PostgresBackend> backend_;
};

}  // namespace

Result<Migrated> migrate(const Options& options) {
  auto how = connect_options(options, "migrate");
  how.statement_time = kMigrationStep;
  auto db = connect(how);
  if (!db) return std::unexpected(std::move(db.error()));
  Migrated out;
  auto before = stored_version(*db);
  if (!before) return std::unexpected(std::move(before.error()));
  out.before = *before;
  if (*before > schema_version() + 1)
    if (auto done = check_version(*before); !done) return std::unexpected(std::move(done.error()));
  if (*before < schema_version())
    if (auto done = migrate(*db, kMigrationPatience); !done) return std::unexpected(std::move(done.error()));
  auto after = stored_version(*db);
  if (!after) return std::unexpected(std::move(after.error()));
  out.after = *after;
  return out;
}

Result<std::unique_ptr<Store>> open(const Options& options) {
  std::int64_t version = 0;
  {
    auto db = connect(connect_options(options, "start"));
    if (!db) return std::unexpected(std::move(db.error()));
    auto stored = stored_version(*db);
    if (!stored) return std::unexpected(std::move(stored.error()));
    version = *stored;
  }
  if (version < schema_version() && options.migrate && !options.read_only) {
    auto done = migrate(options);
    // One that may not change the schema (a serving role) works with the version before as well.
    if (!done && (version == 0 || !check_version(version))) return std::unexpected(std::move(done.error()));
    if (done) version = done->after;
  }
  if (auto done = check_version(version); !done) return std::unexpected(std::move(done.error()));
  auto store = std::make_unique<PostgresStore>(options, std::make_shared<ConnectionCount>(options.metrics));
  auto done = options.read_only ? store->read() : store->serve();
  if (!done) return std::unexpected(std::move(done.error()));
  return store;
}

}  // namespace detection::store::postgres
