#pragma once
// The one writer: a thread that takes what waits, writes it in one transaction, and hands it back when it is on the
// disk. There is no delay timer: what arrives during one fsync is the next commit.

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "store/sql/backend.hpp"
#include "store/sql/capacity.hpp"
#include "store/sql/ledger.hpp"
#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::sql {

class Writer {
 public:
  /// Something else to be written along with the detections, on the writer's thread, inside its transaction. May run a
  /// second time when the transaction had to be begun anew.
  using Work = std::function<Result<void>(Ledger&, UtcMicros now)>;

  Writer(Database db, std::string chain, Backend& backend, Clock clock, telemetry::Metrics* metrics);
  ~Writer() { close(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  [[nodiscard]] Result<void> load();  ///< before start(); not where others write too
  void start();

  [[nodiscard]] bool submit(std::unique_ptr<CommitJob>& job);
  /// Durable when it returns without an error. Not on the writer's thread.
  [[nodiscard]] Result<void> execute(Work work);
  void on_due(std::function<void()> listener);
  void on_commit(std::function<void()> listener);
  /// Calls the listeners, for what another process did. Any thread.
  void tell(bool due, bool committed);
  void close();

  /// As of the last commit.
  [[nodiscard]] Ledger::State state() const;
  [[nodiscard]] std::optional<std::string> failure() const;  ///< why the last commit failed, if it did
  [[nodiscard]] std::size_t waiting() const;
  /// The chain that is written and its head as of the last commit.
  [[nodiscard]] std::pair<std::string, ChainHead> chain() const;
  [[nodiscard]] Capacity& capacity() noexcept { return capacity_; }
  [[nodiscard]] const Capacity& capacity() const noexcept { return capacity_; }

  /// For the metric audit_events_total; any thread.
  void count_audit(std::string_view type, std::string_view severity, std::size_t events);

 private:
  struct Order {
    Work work;
    Result<void> result;
    bool done = false;
  };
  using Jobs = std::vector<std::unique_ptr<CommitJob>>;
  struct Batch {
    Jobs jobs;
    std::vector<Order*> orders;
    [[nodiscard]] std::size_t parts() const { return jobs.size() + orders.size(); }
  };

  void run();
  [[nodiscard]] bool has_work() const { return !small_.empty() || !large_.empty() || !orders_.empty(); }
  [[nodiscard]] Batch take();
  void commit(Batch batch);
  [[nodiscard]] Result<void> attempt(Batch& batch, bool isolate);
  template <class Part>
  [[nodiscard]] Result<void> isolated(Part part, bool isolate, std::optional<Error>& refused);
  [[nodiscard]] Result<void> write(std::span<CommitJob* const> jobs, UtcMicros now);
  [[nodiscard]] Result<void> mend();
  void hand_back(Batch batch);
  void settle(const Result<void>& done);
  void probe();

  Database db_;
  Ledger ledger_;
  Capacity capacity_;
  Backend& backend_;
  Clock clock_;
  telemetry::Metrics* metrics_;
  telemetry::Histogram commit_seconds_, commit_items_;
  telemetry::Gauge queue_jobs_;
  std::array<telemetry::Counter, std::size(kAcceptanceEvents)> acceptances_;

  mutable std::mutex mutex_;
  std::condition_variable work_, done_;
  std::deque<std::unique_ptr<CommitJob>> small_, large_;
  std::vector<Order*> orders_;
  std::size_t queued_items_ = 0;
  bool large_turn_ = false;
  bool idle_ = false;
  bool closing_ = false;
  std::chrono::steady_clock::time_point mend_again_{};  ///< the writer's thread only
  Ledger::State committed_;
  std::optional<std::string> failure_;
  std::string chain_name_;

  std::mutex listener_mutex_;
  std::function<void()> due_listener_, commit_listener_;
  std::mutex close_mutex_;
  std::thread thread_;
};

}  // namespace detection::store::sql
