#pragma once
// A primary for the tests of the spool: it goes away, is slow, commits and loses the answer, refuses. What it keeps
// (ScriptedDatabase) outlives it.

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "store/forwarding_store.hpp"

namespace detection::store::spool {

enum class Weather : std::uint8_t {
  kFine,
  kAway,     ///< gives every job back with kStoreUnavailable
  kInDoubt,  ///< commits, and gives every job back with kStoreUnavailable
  kStuck,    ///< takes no jobs
};

struct ScriptedDatabase {
  std::mutex mutex;
  Weather weather = Weather::kFine;
  std::vector<Acceptance> log;
  std::map<Uuid, std::size_t> places;
  std::vector<AuditEntry> audit;
  std::vector<std::pair<std::string, QueueLimits>> sinks;
  std::vector<std::size_t> job_sizes;
  std::function<std::optional<Error>(const CommitJob&)> refusal;
  bool has_signer = false;

  void set(Weather now) {
    const std::lock_guard lock(mutex);
    weather = now;
  }
  void refuse(std::function<std::optional<Error>(const CommitJob&)> with) {
    const std::lock_guard lock(mutex);
    refusal = std::move(with);
  }
  std::vector<Acceptance> stored() {
    const std::lock_guard lock(mutex);
    return log;
  }
  std::vector<AuditEntry> audited() {
    const std::lock_guard lock(mutex);
    return audit;
  }

  /// Under the lock.
  void write(CommitJob& job) {
    job_sizes.push_back(job.items.size());
    for (const auto& item : job.items) {
      const auto [place, created] = places.emplace(item.located.id, log.size());
      CommitResult result{CommitOutcome::kCreated, static_cast<std::int64_t>(place->second) + 1, nullptr};
      if (created) {
        log.push_back(item);
      } else {
        const auto& first = log[place->second];
        result.outcome =
            first.content_sha256 == item.content_sha256 ? CommitOutcome::kRepeated : CommitOutcome::kConflict;
        if (result.outcome == CommitOutcome::kRepeated) {
          result.first = std::make_unique<StoredDetection>();
          result.first->located = first.located;
        }
      }
      job.results.push_back(std::move(result));
    }
  }
};

/// What it does not do itself fails as a store that is away.
class ScriptedPrimary final : public ForwardingStore {
 public:
  explicit ScriptedPrimary(std::shared_ptr<ScriptedDatabase> database)
      : database_(std::move(database)), thread_([this] { run(); }) {}
  ~ScriptedPrimary() override { end(); }

  bool submit(std::unique_ptr<CommitJob>& job) override {
    {
      const std::lock_guard lock(database_->mutex);
      if (database_->weather == Weather::kStuck) return false;
    }
    const std::lock_guard lock(mutex_);
    if (closing_) return false;
    jobs_.push_back(std::move(job));
    wake_.notify_one();
    return true;
  }
  Result<std::optional<StoredDetection>> find(const Uuid& id) override {
    const std::lock_guard lock(database_->mutex);
    if (database_->weather != Weather::kFine) return std::unexpected(absence());
    const auto found = database_->places.find(id);
    if (found == database_->places.end()) return std::nullopt;
    StoredDetection stored;
    stored.sequence = static_cast<std::int64_t>(found->second) + 1;
    stored.located = database_->log[found->second].located;
    return stored;
  }
  using Store::open_sink;
  Result<void> open_sink(std::string_view sink, const QueueLimits& limits) override {
    const std::lock_guard lock(database_->mutex);
    if (database_->weather != Weather::kFine) return std::unexpected(absence());
    database_->sinks.emplace_back(sink, limits);
    return {};
  }
  Result<void> record(const AuditEntry& entry) override {
    const std::lock_guard lock(database_->mutex);
    if (database_->weather != Weather::kFine) return std::unexpected(absence());
    database_->audit.push_back(entry);
    return {};
  }
  void set_tombstone_signer(TombstoneSigner) override {
    const std::lock_guard lock(database_->mutex);
    database_->has_signer = true;
  }
  void on_commit(std::function<void()> listener) override {
    const std::lock_guard lock(mutex_);
    committed_ = std::move(listener);
  }
  StoreStatus status() override {
    StoreStatus status;
    const std::lock_guard lock(database_->mutex);
    status.writable = database_->weather == Weather::kFine;
    if (!status.writable) status.reason = "scripted";
    status.detections = static_cast<std::int64_t>(database_->log.size());
    return status;
  }
  void close() override { end(); }

 protected:
  [[nodiscard]] Store* target() const noexcept override { return nullptr; }

 private:
  void end() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      auto jobs = std::exchange(jobs_, {});
      const auto listener = committed_;
      lock.unlock();
      for (auto& job : jobs) answer(std::move(job));
      if (listener) listener();
      lock.lock();
    }
  }

  void answer(std::unique_ptr<CommitJob> job) {
    {
      const std::lock_guard lock(database_->mutex);
      const auto weather = database_->weather;
      job->results.clear();
      job->error.reset();
      if (weather == Weather::kAway || weather == Weather::kStuck)
        job->error = Error{ErrorCode::kStoreUnavailable, "the database is away"};
      else if (database_->refusal)
        job->error = database_->refusal(*job);
      if (!job->error) {
        database_->write(*job);
        if (weather == Weather::kInDoubt) {
          job->results.clear();
          job->error = Error{ErrorCode::kStoreUnavailable, "the answer of the database was lost"};
        }
      }
    }
    auto* const home = job->home;
    std::vector<std::unique_ptr<CommitJob>> one;
    one.push_back(std::move(job));
    if (home != nullptr) home->committed(std::move(one));
  }

  const std::shared_ptr<ScriptedDatabase> database_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<CommitJob>> jobs_;
  std::function<void()> committed_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace detection::store::spool
